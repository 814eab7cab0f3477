"""What Prometheus is told: the catalogue, the counting, the collecting, the port. Nothing else knows it."""
