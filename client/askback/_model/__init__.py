"""Values of the SDK and their conversion to and from the contract's messages. No gRPC, no event loop."""
