"""What Askback costs above bare grpc.aio: see docs/bench.md."""

import os

# Servers are started beside open channels: without this grpc warns at each start. Read when grpc is loaded.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
