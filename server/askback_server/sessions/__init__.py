"""The Converse and Work protocols as state machines without gRPC, and the drivers of streams and watching
calls."""
