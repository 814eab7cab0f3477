"""The worker: holds leases, runs job functions, and asks people on their behalf."""
