"""Server streams that reconnect."""

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
    """Yield the messages of a server stream; reconnect with full jitter whenever it breaks, without limit.

    `start` makes the call from the reader's present position; `method` is its name in errors. Ends when a
    stream ends without an error. Raises AskbackError for a final error of the server.
    """
    retries = Retries(method, _is_final)
    outage = Outage(method, calls.endpoint.address)
    # Explain a failure of the first connection only; later failures may be a passing problem of the network.
    await calls.connect(None, outage.begin)
    while True:
        call = start()
        try:
            while (message := await call.read()) is not EOF:
                retries.reset()
                outage.end()
                yield message
            return
        except grpc.aio.AioRpcError as rpc:
            error = from_rpc(rpc)
            pause = retries.pause(error)
            outage.begin(error)
        finally:
            call.cancel()
        await sleep(pause)


def _is_final(error: AskbackError) -> bool:
    return is_fatal(error) or error.reason == "ERROR_REASON_INTERNAL"
