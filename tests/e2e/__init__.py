"""End-to-end tests: server, workers and consoles are real processes on loopback."""
