"""Server streams that go on after a break."""

from __future__ import annotations

from asyncio import sleep
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from grpc.aio import EOF  # type: ignore[attr-defined]

from askback._wire.calls import Calls
from askback._wire.outage import Outage
from askback._wire.retries import Retries
from askback._wire.status import from_rpc, is_fatal
from askback.errors import AskbackError


async def messages(calls: Calls, method: str, start: Callable[[], Any]) -> AsyncIterator[Any]:
    """The messages of a server stream, opened again with full jitter whenever it breaks, without limit.

    `start` makes the call from where the reader is; `method` is what errors call it. Ends when a stream
    ends in order. Raises AskbackError when the server refuses for good.
    """
    retries = Retries(method, _is_final)
    outage = Outage(method, calls.endpoint.shown)
    # Its first connection is made in words. Later the network may do what it likes.
    await calls.connect(None, outage.began)
    while True:
        call = start()
        try:
            while (message := await call.read()) is not EOF:
                retries.worked()
                outage.ended()
                yield message
            return
        except grpc.aio.AioRpcError as rpc:
            error = from_rpc(rpc)
            pause = retries.pause(error)
            outage.began(error)
        finally:
            call.cancel()
        await sleep(pause)


def _is_final(error: AskbackError) -> bool:
    return is_fatal(error) or error.reason == "ERROR_REASON_INTERNAL"
