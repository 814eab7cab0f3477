"""Frames that are larger than a message may be: sent again and again, they would end every stream."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

from askback._wire.channel import MAX_BATCH_BYTES, MAX_SEND_BYTES
from askback.errors import MessageTooLarge

_ROOM = 1024
"""Bytes of a message around its only frame, its ref included."""


class Waiting(Protocol):
    """A frame that waits for its reply."""

    frame: Any
    future: asyncio.Future[Any]


def size_problem(frame: Any) -> MessageTooLarge | None:
    """Why a frame cannot be sent at all; None if it can."""
    size = frame.ByteSize()
    if size <= MAX_SEND_BYTES - _ROOM:
        return None
    return MessageTooLarge(
        f"the request has {size} bytes; at most {MAX_SEND_BYTES - _ROOM} fit into one message; send less, "
        "or a reference to it"
    )


def give_back(waiting: Iterable[Waiting | None], error: MessageTooLarge) -> bool:
    """Fail those frames that went in a message of their own, which something on the way did not let pass.

    False if there are none: then the error is not about one of them.
    """
    large = [item for item in waiting if item and item.frame.ByteSize() > MAX_BATCH_BYTES]
    for item in large:
        if not item.future.done():
            item.future.set_exception(error)
    return bool(large)
