"""Deterministic simulation: replicas, consoles and workers in virtual time, with faults drawn from a seed."""
