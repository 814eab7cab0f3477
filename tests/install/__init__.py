"""The package as people get it: built, installed in clean environments, run. Needs a package index."""
