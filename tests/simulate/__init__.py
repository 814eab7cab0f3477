"""Replicas, consoles and workers in virtual time, over a network that loses what a seed says."""
