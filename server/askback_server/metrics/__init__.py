"""Metrics for Prometheus: the catalogue, the counters, the collector and the HTTP port."""
