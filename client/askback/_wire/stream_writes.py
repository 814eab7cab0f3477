"""Writes to a stream of requests that leave the status of the call as the server sent it.

grpc.aio replaces the status of a call with INTERNAL if a write fails after the status has arrived, so a
caller whose token is refused would sometimes see an internal error
(https://github.com/grpc/grpc/issues/36066).
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any

import grpc


class StreamEnded(Exception):
    """Nothing was sent because the call has ended. Its `read` raises or returns the reason."""


async def write(call: Any, message: Any) -> None:
    """Write a message to a call with a stream of requests. Raises StreamEnded."""
    try:
        await _without_failures(call.write(message))
    except (grpc.RpcError, asyncio.InvalidStateError) as error:
        raise StreamEnded from error


@types.coroutine
def _without_failures(operation: Coroutine[Any, Any, None]) -> Generator[Any, None, None]:
    """Run an operation of grpc.aio, but raise StreamEnded when what it awaits fails.

    The failure is not thrown into the operation, which would replace the status. A cancellation is.
    """
    resume, value = operation.send, None
    while True:
        try:
            awaited = resume(value)
        except StopIteration:
            return
        try:
            yield awaited
        except Exception as error:
            operation.close()
            raise StreamEnded from error
        except BaseException as cancellation:
            resume, value = operation.throw, cancellation
        else:
            resume, value = operation.send, None
