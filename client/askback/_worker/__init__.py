"""The worker: leases jobs, runs their functions, and asks people for them."""
