"""Metrics for Prometheus: how one is described, counted and exposed. The service and the gateway share it."""
