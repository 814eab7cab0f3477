"""Ignores events of gRPC that arrive in the wrong event loop."""

from __future__ import annotations

import asyncio
from typing import Any


def without_echoes(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception handler for a loop in a process with several loops.

    grpc.aio has one queue for all loops: an event of another loop, which may be closed, can arrive in this
    one. Ignore it, and handle all other exceptions as usual.
    """
    echo = isinstance(context.get("exception"), RuntimeError | BlockingIOError)
    if not (echo and "PollerCompletionQueue" in repr(context.get("handle"))):
        loop.default_exception_handler(context)
