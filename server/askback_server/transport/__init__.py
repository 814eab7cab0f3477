"""grpc.aio: servicers, interceptors, conversion, error mapping."""
