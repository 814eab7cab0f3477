"""The queue of commands before the engine: bounded in number and in bytes, fair between principals."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Sequence
from itertools import chain

from askback_server.domain import commands as c
from askback_server.domain.principals import SYSTEM
from askback_server.engine.grouping import Item

MAX_COMMANDS = 8192
MAX_BYTES = 128 * 1024 * 1024
"""Capacity in bytes of the queued commands."""
SHARE_OF_ALL = 0.75
"""Share of the queue open to every command. The rest is reserved for answers and system work (`URGENT`)."""
SYSTEM_COMMANDS = 8
"""How many commands of the service itself a batch with commands of callers has at most, or as many as it has
of callers if those are more: callers wait for the whole batch."""
SHARE_OF_ONE = 0.6
"""Share of that which a single principal may fill, even with answers."""


class CommandQueue:
    """First in, first out per principal; principals take turns."""

    def __init__(self, capacity: int = MAX_COMMANDS) -> None:
        self._capacity = capacity
        self._first: deque[Item] = deque()
        """Items put back by `put_back`; they come before all others."""
        self._waiting: OrderedDict[str, deque[Item]] = OrderedDict()
        """By principal. The first key is served next."""
        self._counts: Counter[str] = Counter()
        """Queued commands per principal."""
        self._sizes: Counter[str] = Counter()
        self._length = 0
        self.bytes = 0
        """Total size of the queued commands."""

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Item]:
        return chain(self._first, *self._waiting.values())

    def has_room(self, command: c.Command[object]) -> bool:
        """Whether the command fits: within the queue's share, and within its principal's."""
        share = 1.0 if command.URGENT else SHARE_OF_ALL
        maximum, max_bytes = self._capacity * share, MAX_BYTES * share
        if len(self) >= maximum or self.bytes >= max_bytes:
            return False
        if command.principal is SYSTEM:
            return True
        subject = command.principal.subject
        return (
            self._counts[subject] < maximum * SHARE_OF_ONE and self._sizes[subject] < max_bytes * SHARE_OF_ONE
        )

    def append(self, item: Item) -> None:
        """Append a command to its principal's queue."""
        self._waiting.setdefault(item.command.principal.subject, deque()).append(item)
        self._count(item, 1)

    def put_back(self, items: Sequence[Item]) -> None:
        """Put taken commands back at the head of the queue, in their order."""
        self._first.extendleft(reversed(items))
        for item in items:
            self._count(item, 1)

    def take(self, maximum: int, max_bytes: int) -> list[Item]:
        """Take up to `maximum` commands, stopping once they reach `max_bytes`.

        If commands of callers are among them, few of the service itself are (`SYSTEM_COMMANDS`).
        """
        items: list[Item] = []
        size = callers = 0
        while len(items) < maximum and size < max_bytes and (self._first or self._waiting):
            system = len(items) - callers
            if callers and system >= max(SYSTEM_COMMANDS, callers) and self._only_system_waits:
                break
            item = self._first.popleft() if self._first else self._next()
            size += item.size
            callers += item.command.principal is not SYSTEM
            self._count(item, -1)
            items.append(item)
        return items

    @property
    def _only_system_waits(self) -> bool:
        return not self._first and self._waiting.keys() == {SYSTEM.subject}

    def _next(self) -> Item:
        subject, waiting = next(iter(self._waiting.items()))
        item = waiting.popleft()
        if waiting:
            self._waiting.move_to_end(subject)
        else:
            del self._waiting[subject]
        return item

    def _count(self, item: Item, change: int) -> None:
        subject, size = item.command.principal.subject, change * item.size
        self.bytes += size
        self._length += change
        self._sizes[subject] += size
        self._counts[subject] += change
        if not self._counts[subject]:
            del self._counts[subject], self._sizes[subject]
