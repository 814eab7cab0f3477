"""The settings of the service: their table, their sources, and the options of `askback serve`."""
