"""Messages from parts that are serialised already.

What is sent to many, or more than once, is serialised once; each frame only wraps it. On the wire a
field that holds a message is its tag, the length of the message, and its bytes, and the order of
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
    """A number that is not negative, as the wire has it."""
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
    """What makes of a serialised message the outer message that has it at this path, and nothing else.

    within(ConverseResponse, "frames", "error") wraps a FrameError.
    """
    tags = []
    descriptor: Any = outer.DESCRIPTOR
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
        return head + inner  # what may be large is copied once

    return wrap


class EncodeCache(Generic[T]):
    """What immutable objects are on the wire, while they are likely to be sent again.

    Keyed by identity; the object is kept beside its bytes, so its id cannot be given to another. The
    oldest of `most` is forgotten first; what is larger than `largest` bytes is made each time.
    """

    def __init__(self, make: Callable[[T], bytes], *, most: int, largest: int = 64 * 1024) -> None:
        self._make = make
        self._most = most
        self._largest = largest
        self._known: OrderedDict[int, tuple[T, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def __call__(self, value: T) -> bytes:
        """The object's message, serialised."""
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        made = self._make(value)
        if len(made) <= self._largest:
            if len(self._known) >= self._most:
                self._known.popitem(last=False)
            self._known[id(value)] = (value, made)
        return made
