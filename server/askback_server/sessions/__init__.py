"""The Converse and Work protocols as state machines that know nothing of gRPC."""
