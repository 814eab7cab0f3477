"""Signing in and out, and what protects the page from other pages."""
