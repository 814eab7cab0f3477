"""Bounds the memory that the streams of a replica use for clients that do not read, or read slowly."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from askback_server.domain.errors import AskbackError, LimitExceeded
from askback_server.domain.prompts import Prompt
from askback_server.sessions.frames import Reply

FRAME_BYTES = 200
"""Bytes counted for any frame in addition to its content."""
SMALL_BYTES = 16 * 1024
"""Sizes up to this never wait for room: heartbeats, verdicts, most prompts."""


def body_size(body: object) -> int:
    """The approximate size of a frame's body."""
    if isinstance(body, Reply):
        body = body.response
    prompt = body if isinstance(body, Prompt) else getattr(body, "prompt", None)
    if isinstance(prompt, Prompt):  # nearly all frames
        resolution = prompt.resolution
        answer = None if resolution is None else resolution.answer
        return FRAME_BYTES + prompt.content.size + (len(answer.values_json) if answer is not None else 0)
    size = getattr(body, "ByteSize", None)
    if size is not None:
        return FRAME_BYTES + int(size())
    for name in ("prompt", "job"):
        inner = getattr(body, name, None)
        if inner is not None and not isinstance(inner, str):
            more = sum(body_size(p) for p in getattr(body, "prompts", ())) + sum(
                len(c.value_json) for c in getattr(body, "checkpoints", ())
            )
            return body_size(inner) + more
    return FRAME_BYTES + len(getattr(body, "input_json", "")) + len(getattr(body, "result_json", ""))


Drop = Callable[[AskbackError], None]
"""Ends a stream with an error."""


def _ignore_drop(_: AskbackError) -> None:
    """Replaces `drop` in a closed account."""


class MemoryBudget:
    """The bytes used by all streams, per principal.

    A principal that has used its share waits for room: its own streams must be read first. If all principals
    together use too much, the one with the most loses its largest stream.
    """

    def __init__(self, maximum: int, share: int) -> None:
        self._maximum = maximum
        self._share = share
        self._used: dict[str, int] = {}
        """By principal; principals that use none are left out."""
        self._open: set[Account] = set()
        self._waiting: dict[str, deque[tuple[Account, int, asyncio.Future[None]]]] = {}
        self.total = 0

    def account(self, subject: str, drop: Drop) -> Account:
        """Open the account of one stream; close it at the end. `drop` ends the stream."""
        account = Account(self, subject, drop)
        self._open.add(account)
        return account

    def forget(self, account: Account) -> None:
        """Forget an account that has been closed."""
        self._open.discard(account)

    def fits(self, subject: str, size: int) -> bool:
        """Whether a principal may use `size` more bytes. One that uses none always may."""
        used = self._used.get(subject, 0)
        return not used or used + size <= self._share

    def change(self, subject: str, change: int) -> None:
        """Add to the use of a principal."""
        self.total += change
        used = self._used.get(subject, 0) + change
        if used:
            self._used[subject] = used
        else:
            self._used.pop(subject, None)
        if change > 0:
            while self.total > self._maximum:
                self._drop_largest()
        elif self._waiting:
            self._wake_waiters(subject)

    def _drop_largest(self) -> None:
        subject = max(self._used, key=self._used.__getitem__)
        worst = max((a for a in self._open if a.subject == subject), key=lambda a: a.used)
        text = "too much waits for clients that do not read, and this stream has the most; read it faster"
        worst.drop(LimitExceeded(text, limit="unsent_bytes_in_all", value=self._maximum, retry_after=1.0))

    async def wait(self, account: Account, size: int) -> None:
        """Add to the use of an account, as soon as there is room."""
        subject = account.subject
        if size <= SMALL_BYTES or (subject not in self._waiting and self.fits(subject, size)):
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
                self._wake_waiters(subject)
            raise

    def _wake_waiters(self, subject: str) -> None:
        waiting = self._waiting.get(subject)
        while waiting:
            account, size, room = waiting[0]
            if not room.done():
                if not self.fits(subject, size):
                    return
                account.add(size)
                room.set_result(None)
            # `add` may have called this method again
            if waiting and waiting[0][2] is room:
                waiting.popleft()
        self._waiting.pop(subject, None)


class Account:
    """The memory used by one stream."""

    __slots__ = ("_drop", "_of", "_set", "closed", "subject", "used")

    def __init__(self, of: MemoryBudget, subject: str, drop: Drop) -> None:
        self.subject = subject
        self.used = 0
        self.closed = False
        self._of = of
        self._drop = drop
        self._set = 0

    def set(self, size: int) -> None:
        """Set the bytes in use, in addition to reserved ones."""
        change, self._set = size - self._set, size
        if change and not self.closed:
            self.used += change
            self._of.change(self.subject, change)

    def add(self, change: int) -> None:
        """Add to the bytes in use."""
        if not self.closed:
            self.used += change
            self._of.change(self.subject, change)

    @property
    def is_over(self) -> bool:
        """Whether the principal exceeds its share, and this stream contributes to it."""
        return self.used > SMALL_BYTES and not self._of.fits(self.subject, 0)

    async def reserve(self, size: int) -> Callable[[], None]:
        """Reserve bytes, waiting for room. Returns a function that releases them; it may be called more than
        once."""
        await self._of.wait(self, size)
        left = [size]

        def give_back() -> None:
            if left:
                self.add(-left.pop())

        return give_back

    @asynccontextmanager
    async def room(self, size: int) -> AsyncIterator[None]:
        """Reserve bytes inside this context, waiting for room."""
        await self.take(size)
        try:
            yield
        finally:
            self.add(-size)

    def take(self, size: int) -> Awaitable[None]:
        """Add to the bytes in use, waiting for room. Give them back with `add`."""
        return self._of.wait(self, size)

    @contextmanager
    def charge(self, size: int) -> Iterator[None]:
        """Count bytes inside this context, without waiting for room."""
        self.add(size)
        try:
            yield
        finally:
            self.add(-size)

    def drop(self, error: AskbackError) -> None:
        """End the stream and close its account."""
        drop = self._drop
        self.close()
        drop(error)

    def close(self) -> None:
        """Release everything."""
        if not self.closed:
            used, self.used, self.closed = self.used, 0, True
            self._drop = _ignore_drop
            self._of.change(self.subject, -used)
            self._of.forget(self)
