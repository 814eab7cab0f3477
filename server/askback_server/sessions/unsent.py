"""How much the streams of a replica keep in memory for clients that have not read it, and its bounds."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from askback_server.domain.errors import AskbackError, LimitExceeded
from askback_server.domain.prompts import Prompt

FRAME = 200
"""Bytes that any frame is counted with, besides its content."""
SMALL = 16 * 1024
"""What is not larger never waits for room: heartbeats, verdicts, most prompts."""


def weight(body: object) -> int:
    """Roughly how many bytes a frame's body is."""
    size = getattr(body, "ByteSize", None)
    if size is not None:
        return FRAME + int(size())
    for name in ("response", "prompt", "job"):
        inner = getattr(body, name, None)
        if inner is not None and not isinstance(inner, str):
            more = sum(weight(p) for p in getattr(body, "prompts", ())) + sum(
                len(c.value_json) for c in getattr(body, "checkpoints", ())
            )
            return weight(inner) + more
    if isinstance(body, Prompt):
        resolution = body.resolution
        answer = getattr(resolution, "answer", None)
        return FRAME + body.content.size + (len(answer.values_json) if answer is not None else 0)
    return FRAME + len(getattr(body, "input_json", "")) + len(getattr(body, "result_json", ""))


Drop = Callable[[AskbackError], None]
"""Ends a stream."""


def _ignore_drop(_: AskbackError) -> None:
    """For the account of a stream that has ended."""


class Unsent:
    """The bytes that are kept for all streams, by principal.

    A principal that has its share waits for room: its own streams must be read first. When all have too much
    together, the principal with the most loses the stream with the most.
    """

    def __init__(self, most: int, share: int) -> None:
        self._most = most
        self._share = share
        self._used: Counter[str] = Counter()
        self._holding: dict[str, set[Account]] = {}
        self._waiting: dict[str, deque[tuple[Account, int, asyncio.Future[None]]]] = {}
        self.total = 0

    def account(self, subject: str, drop: Drop) -> Account:
        """What one stream keeps. `drop` ends the stream; close the account at its end."""
        return Account(self, subject, drop)

    def fits(self, subject: str, size: int) -> bool:
        """Whether a principal may keep so many bytes more: always something."""
        used = self._used[subject]
        return not used or used + size <= self._share

    def change(self, account: Account, change: int) -> None:
        """An account has so many bytes more, or less."""
        subject = account.subject
        self.total += change
        self._used[subject] += change
        if account.held:
            self._holding.setdefault(subject, set()).add(account)
        else:
            self._holding.get(subject, set()).discard(account)
            if not self._used[subject]:
                self._holding.pop(subject, None)
                del self._used[subject]
        if change > 0:
            while self.total > self._most:
                self._drop_largest()
        else:
            self._let_go_on(subject)

    def _drop_largest(self) -> None:
        subject = max(self._holding, key=self._used.__getitem__)
        worst = max(self._holding[subject], key=lambda a: a.held)
        text = "too much waits for clients that do not read, and this stream has the most; read it faster"
        worst.drop(LimitExceeded(text, limit="unsent_bytes_in_all", value=self._most, retry_after=1.0))

    async def wait(self, account: Account, size: int) -> None:
        """Wait until the account has so many bytes more."""
        subject = account.subject
        if size <= SMALL or (subject not in self._waiting and self.fits(subject, size)):
            account.add(size)
            return
        room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(subject, deque()).append((account, size, room))
        try:
            await room
        except asyncio.CancelledError:
            if room.done() and not room.cancelled():
                account.add(-size)
            else:
                self._let_go_on(subject)
            raise

    def _let_go_on(self, subject: str) -> None:
        waiting = self._waiting.get(subject)
        while waiting:
            account, size, room = waiting[0]
            if not room.done():
                if not self.fits(subject, size):
                    return
                account.add(size)
                room.set_result(None)
            # `add` may have come here again
            if waiting and waiting[0][2] is room:
                waiting.popleft()
        self._waiting.pop(subject, None)


class Account:
    """What one stream keeps in memory: `set` says how much, `room` waits for more."""

    __slots__ = ("_drop", "_of", "_set", "closed", "held", "subject")

    def __init__(self, of: Unsent, subject: str, drop: Drop) -> None:
        self.subject = subject
        self.held = 0
        self.closed = False
        self._of = of
        self._drop = drop
        self._set = 0

    def set(self, size: int) -> None:
        """So many bytes are kept, besides those that room was waited for."""
        change, self._set = size - self._set, size
        if change:
            self.add(change)

    def add(self, change: int) -> None:
        """So many bytes more, or less."""
        if not self.closed:
            self.held += change
            self._of.change(self, change)

    @property
    def is_over(self) -> bool:
        """Whether the principal has more than its share, and this stream has a part in it."""
        return self.held > SMALL and not self._of.fits(self.subject, 0)

    async def reserve(self, size: int) -> Callable[[], None]:
        """Wait until so many bytes more may be kept. Returns what gives them back; call it once or more."""
        await self._of.wait(self, size)
        left = [size]

        def give_back() -> None:
            if left:
                self.add(-left.pop())

        return give_back

    @asynccontextmanager
    async def room(self, size: int) -> AsyncIterator[None]:
        """Room for so many bytes, when there is some."""
        await self._of.wait(self, size)
        try:
            yield
        finally:
            self.add(-size)

    @contextmanager
    def charge(self, size: int) -> Iterator[None]:
        """So many bytes more meanwhile, without waiting for room."""
        self.add(size)
        try:
            yield
        finally:
            self.add(-size)

    def drop(self, error: AskbackError) -> None:
        """End the stream; it keeps nothing any more."""
        drop = self._drop
        self.close()
        drop(error)

    def close(self) -> None:
        """The stream has ended."""
        if not self.closed:
            held, self.held, self.closed = self.held, 0, True
            self._drop = _ignore_drop
            self._of.change(self, -held)
