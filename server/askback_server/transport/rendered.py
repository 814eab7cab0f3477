"""Messages of immutable objects, kept while they are likely to be sent again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

T = TypeVar("T")
M = TypeVar("M", bound=Message)


class Rendered(Generic[T, M]):
    """The newest objects that were rendered, with their messages.

    Keyed by identity; the object is kept beside its message, so its id cannot be given to another.
    `largest` in bytes: what is larger is rendered each time.
    """

    def __init__(
        self, make: Callable[[], M], fill: Callable[[M, T], None], *, most: int, largest: int
    ) -> None:
        self._make = make
        self._fill = fill
        self._most = most
        self._largest = largest
        self._known: dict[int, tuple[T, Any]] = {}

    def put(self, target: M, value: T) -> None:
        """Fill a message, from memory if that has it."""
        known = self._known.get(id(value))
        if known is not None:
            target.CopyFrom(known[1])
            return
        self._fill(target, value)
        if target.ByteSize() > self._largest:
            return
        while len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        kept = self._make()
        kept.CopyFrom(target)
        self._known[id(value)] = (value, kept)
