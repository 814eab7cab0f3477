"""Server streams that go on after a break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from grpc.aio import EOF  # type: ignore[attr-defined]

from askback.backoff import Backoff
from askback.status import from_rpc, is_fatal, is_transient

_ODD = 5
"""So many failures in a row that are neither final nor passing (UNKNOWN, INTERNAL) are enough."""


async def messages(start: Callable[[], Any]) -> AsyncIterator[Any]:
    """The messages of a server stream, opened again with full jitter whenever it breaks.

    `start` makes the call from where the reader is. Ends when a stream ends in order. Raises
    AskbackError when the server refuses for good.
    """
    backoff = Backoff()
    while True:
        call = start()
        try:
            while (message := await call.read()) is not EOF:
                backoff.reset()
                yield message
            return
        except grpc.aio.AioRpcError as rpc:
            error = from_rpc(rpc)
            if is_fatal(error) or error.reason == "ERROR_REASON_INTERNAL":
                raise error from None
            if not is_transient(error) and backoff.failures >= _ODD:
                raise error from None
        finally:
            call.cancel()
        await asyncio.sleep(backoff.next(error.retry_after or 0.0))
