"""What gRPC reports in a loop that it was not meant for."""

from __future__ import annotations

import asyncio
from typing import Any


def without_echoes(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception handler for a loop that is not the only one of its process.

    grpc.aio has one queue for all loops: an event for another loop, which may be closed, can end up in this
    one. That is no error; all others are handled as usual.
    """
    echo = isinstance(context.get("exception"), RuntimeError | BlockingIOError)
    if not (echo and "PollerCompletionQueue" in repr(context.get("handle"))):
        loop.default_exception_handler(context)
