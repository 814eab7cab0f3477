"""Askback's tests."""
