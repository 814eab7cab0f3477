"""Tests of the SDK against a scripted server in the same process, over real gRPC on loopback."""
