"""Tests that need more than one part of Askback, or a real database."""
