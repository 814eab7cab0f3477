"""Benchmarks: the cost of Askback compared with floors. See docs/bench.md."""

import os

# Read by grpc at import. Without it grpc warns whenever a server is started while channels are open.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
