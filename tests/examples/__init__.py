"""The examples as real processes: they survive kills of worker and server."""
