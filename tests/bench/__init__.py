"""What Askback costs above bare grpc.aio: see docs/bench.md."""
