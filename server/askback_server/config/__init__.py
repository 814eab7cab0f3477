"""The settings of the service: their table, where they come from, and the options of `askback serve`."""
