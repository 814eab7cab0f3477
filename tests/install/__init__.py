"""The package as users get it: built, installed in clean environments, run. Needs a package index."""
