"""Generates docs/reference from the contract, the command line, the settings and the SDK."""
