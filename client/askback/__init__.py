"""Askback."""
