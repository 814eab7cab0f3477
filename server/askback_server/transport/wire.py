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
    """The encoding of a non-negative number: seven bits a byte, the lowest first."""
    encoded = b""
    while number >= 0x80:
        encoded += _MORE[number & 0x7F]
        number >>= 7
    return encoded + _LAST[number]


_MORE = [bytes([bits | 0x80]) for bits in range(0x80)]
"""The byte of seven bits that are not the highest."""
_LAST = [bytes([bits]) for bits in range(0x80)]
"""The byte of the highest seven bits."""


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
            if size < 0x80:
                head = tag + _LAST[size] + head
            elif size < 0x4000:  # most messages: `varint` without a call
                head = tag + _MORE[size & 0x7F] + _LAST[size >> 7] + head
            else:
                head = tag + varint(size) + head
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
