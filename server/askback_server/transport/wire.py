"""Builds messages from serialised parts.

A part that is sent to several receivers, or several times, is serialised once, and each frame only wraps it.
On the wire a field that holds a message is its tag, the length of the message, and its bytes; the order of
fields does not matter (protobuf.dev/programming-guides/encoding). Tags come from the descriptors.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

T = TypeVar("T")
_LENGTH_DELIMITED = 2


def varint(number: int) -> bytes:
    """The encoding of a non-negative number."""
    if number < 0x80:
        return _SHORT[number]
    parts = bytearray()
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


_SHORT = [bytes([number]) for number in range(0x80)]


def within(outer: type[Message], *path: str) -> Callable[[bytes], bytes]:
    """A function that wraps a serialised message in an outer message that has only this field.

    For example, `within(ConverseResponse, "frames", "error")` wraps a FrameError.
    """
    tags = []
    descriptor: Any = outer.DESCRIPTOR  # the stubs have several classes of descriptors
    for name in path:
        field = descriptor.fields_by_name[name]
        descriptor = field.message_type
        tags.append(varint(field.number << 3 | _LENGTH_DELIMITED))
    tags.reverse()

    def wrap(inner: bytes) -> bytes:
        head = b""
        size = len(inner)
        for tag in tags:
            head = tag + (_SHORT[size] if size < 0x80 else varint(size)) + head
            size = len(head) + len(inner)
        return head + inner  # `inner` may be large: it is copied once

    return wrap


class EncodeCache(Generic[T]):
    """Caches the serialised messages of immutable objects.

    The key is the identity of the object. The object is stored with its bytes, so that its id cannot be
    reused. Has the newest `maximum` objects; messages of more than `largest` bytes are not stored.
    """

    def __init__(self, make: Callable[[T], bytes], *, maximum: int, largest: int = 64 * 1024) -> None:
        self._make = make
        self._maximum = maximum
        self._largest = largest
        self._cached: OrderedDict[int, tuple[T, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._cached)

    def __call__(self, value: T) -> bytes:
        """The serialised message of the object."""
        cached = self._cached.get(id(value))
        if cached is not None:
            return cached[1]
        message = self._make(value)
        if len(message) <= self._largest:
            if len(self._cached) >= self._maximum:
                self._cached.popitem(last=False)
            self._cached[id(value)] = (value, message)
        return message
