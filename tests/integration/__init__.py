"""Tests of several parts of Askback together, or with a real database."""
