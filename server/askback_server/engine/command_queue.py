"""The commands that wait to be decided: bounded in number and in bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from askback_server.domain import commands as c
from askback_server.engine.grouping import Item

QUEUE = 8192
QUEUE_BYTES = 128 * 1024 * 1024
"""The same in bytes of what the commands carry."""
OPEN_TO_ALL = 0.75
"""The share of the queue that any command may fill; the rest is for answers and system work."""


class CommandQueue:
    """First in, first out."""

    def __init__(self, capacity: int = QUEUE) -> None:
        self._capacity = capacity
        self._items: deque[Item] = deque()
        self.bytes = 0
        """What the commands carry."""

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def has_room(self, command: c.Command) -> bool:
        """Whether one more command may wait."""
        share = 1.0 if command.URGENT else OPEN_TO_ALL
        return len(self._items) < self._capacity * share and self.bytes < QUEUE_BYTES * share

    def append(self, item: Item) -> None:
        """Let a command wait behind all others."""
        self._items.append(item)
        self.bytes += item.command.size

    def put_back(self, items: Sequence[Item]) -> None:
        """Let commands that were taken wait before all others, in their order."""
        self._items.extendleft(reversed(items))
        self.bytes += sum(item.command.size for item in items)

    def take(self, most: int, most_bytes: int) -> list[Item]:
        """The first commands: at most so many, and no more once they carry so many bytes."""
        items: list[Item] = []
        size = 0
        while self._items and len(items) < most and size < most_bytes:
            item = self._items.popleft()
            size += item.command.size
            items.append(item)
        self.bytes -= size
        return items
