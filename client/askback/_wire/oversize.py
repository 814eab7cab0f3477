"""Refuses frames over the size limit: resent after each reconnect, they would break every stream."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

from askback._wire.channel import MAX_BATCH_BYTES, MAX_SEND_BYTES
from askback.errors import MessageTooLarge

_ENVELOPE_BYTES = 1024
"""Bytes that a message needs in addition to its only frame."""


class Waiting(Protocol):
    """A frame that waits for its reply."""

    frame: Any
    future: asyncio.Future[Any]


def size_problem(frame: Any) -> MessageTooLarge | None:
    """The error for a frame that is too large to be sent; None if it fits."""
    size = frame.ByteSize()
    if size <= MAX_SEND_BYTES - _ENVELOPE_BYTES:
        return None
    return MessageTooLarge(
        f"the request has {size} bytes; at most {MAX_SEND_BYTES - _ENVELOPE_BYTES} fit into one message; "
        "send less, or a reference to it"
    )


def give_back(waiting: Iterable[Waiting | None], error: MessageTooLarge) -> bool:
    """Fail the frames that were sent in their own message, which a proxy or the server refused as too large.

    Returns False if there are none: then another message caused the error.
    """
    large = [item for item in waiting if item and item.frame.ByteSize() > MAX_BATCH_BYTES]
    for item in large:
        if not item.future.done():
            item.future.set_exception(error)
    return bool(large)
