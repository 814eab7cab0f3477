"""Wake-ups by LISTEN and NOTIFY, each on a connection of its own, outside every write.

A NOTIFY inside the write would take a lock of the whole cluster until its commit is on disk (it costs
more than half of the write rate); here one goes out for all that was committed since the last one. A
listener may be dead without the driver's notice, and behind a pooler in transaction mode it is deaf from
the start without an error: so each replica calls itself now and then, and believes only what it hears.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg

from askback_server.domain.errors import StorageUnavailable
from askback_server.ports.wakeups import Heard, Hint
from askback_server.storage.outages import BROKEN, first_line

log = logging.getLogger(__name__)

CHANNEL = "askback"
PAYLOAD = 7_900
"""Bytes in one notification; PostgreSQL takes fewer than 8000."""
MANY = 1_000
"""Jobs that are remembered to be told: these alone are too many to be named."""
TEST = 5.0
"""Seconds between two tests of the listener."""
ECHO = 3.0
"""Seconds within which a listener must hear this replica's own call."""
PAUSE, MOST, DEAF = 0.25, 2.0, 30.0
"""Seconds before a broken connection is made anew, the most of it, and after a connection that was deaf;
doubles, with jitter."""

Connect = Callable[[str], AbstractAsyncContextManager["asyncpg.Connection[asyncpg.Record]"]]
"""A connection that is nobody else's, by the name that pg_stat_activity shows."""


class _Deaf(Exception):
    """The listener does not hear what is sent."""


class PostgresWakeups:
    """The Wakeups port. `connect` opens a connection of its own under a name."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._self = secrets.token_hex(4)
        """Tells this replica's calls from others': names may be given twice."""
        self._pending: dict[str, tuple[int, int]] = {}
        self._echo = ""
        """The test that is to be sent and heard; empty when there is none."""
        self._called = ""
        """The test that was sent last."""
        self._wake = asyncio.Event()
        self._echoed = asyncio.Event()
        self._heard: Heard = lambda hints: None
        self._said_deaf = False
        self.live = False

    def send(self, hints: Iterable[Hint]) -> None:
        """Note what is to be told; what is told already waits for nothing."""
        pending = self._pending
        for hint in hints:
            known = pending.get(hint.job_id)
            if known is None:
                if len(pending) < MANY:
                    pending[hint.job_id] = (hint.after, hint.seq)
            else:
                pending[hint.job_id] = (min(known[0], hint.after), max(known[1], hint.seq))
        if pending:
            self._wake.set()

    async def run(self, heard: Heard) -> None:
        """Send and listen until cancelled."""
        self._heard = heard
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._again("sending wake-ups", self._send_all))
            tasks.create_task(self._again("listening for wake-ups", self._listen))

    async def _again(self, what: str, work: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        """Do it on a new connection whenever the last one broke. `work` says when it works."""
        pause = PAUSE

        def works() -> None:
            nonlocal pause
            pause = PAUSE

        while True:
            try:
                await work(works)
            except _Deaf:
                self._say_deaf()
                pause = DEAF if pause >= MOST else pause
            except (*BROKEN, StorageUnavailable) as error:
                log.info("%s: %s", what, first_line(error))
            except Exception:
                log.exception("%s failed", what)
            await asyncio.sleep(random.uniform(pause / 2, pause))
            pause = min(pause * 2, MOST)

    async def _send_all(self, works: Callable[[], None] = lambda: None) -> None:
        async with self._connect("askback wake-ups") as connection:
            self._wake.set()  # what waits
            while True:
                await self._wake.wait()
                self._wake.clear()
                echo, pending, self._pending = self._echo, self._pending, {}
                try:
                    for payload in self._payloads(echo, pending):
                        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, payload, timeout=ECHO)
                except BaseException:
                    self.send(Hint(job_id, after, seq) for job_id, (after, seq) in pending.items())
                    raise
                self._called = echo
                works()

    def _payloads(self, echo: str, pending: dict[str, tuple[int, int]]) -> Iterable[str]:
        if echo:
            yield f"{self._self} test {echo}"
        if pending:
            told = " ".join(f"{job_id}:{after}:{seq}" for job_id, (after, seq) in pending.items())
            # Too many to be named: that there is something is said all the same.
            yield f"{self._self} jobs {told if len(told) < PAYLOAD - 20 else ''}"

    async def _listen(self, works: Callable[[], None]) -> None:
        async with self._connect("askback listener") as connection:
            gone = asyncio.Event()
            connection.add_termination_listener(lambda _: gone.set())
            await connection.add_listener(CHANNEL, self._notified)
            try:
                while not gone.is_set():
                    await self._test()
                    works()
                    if not self.live:
                        log.info("wake-ups of other replicas are heard")
                        self.live = True
                        self._heard(())  # and what was called while nobody listened is in the log
                    async with _at_most(TEST):
                        await gone.wait()
                raise StorageUnavailable("the listener's connection was closed")
            finally:
                self.live = False

    async def _test(self) -> None:
        """Call, and hear it. Raises _Deaf, StorageUnavailable."""
        self._echo = echo = secrets.token_hex(4)
        self._echoed.clear()
        self._wake.set()
        async with _at_most(ECHO):
            await self._echoed.wait()
        self._echo = ""
        if not self._echoed.is_set():
            raise _Deaf if self._called == echo else StorageUnavailable("no test could be sent")

    def _say_deaf(self) -> None:
        """Once in a replica's life: behind a pooler it is so for good."""
        if not self._said_deaf:
            self._said_deaf = True
            log.warning(
                "NOTIFY is not heard by LISTEN (a pooler in transaction mode does that): other replicas' "
                "commits are found by polling, and each try to listen again is silent"
            )

    def _notified(self, connection: Any, pid: int, channel: str, payload: object) -> None:
        sender, _, said = str(payload).partition(" ")
        kind, _, rest = said.partition(" ")
        if sender == self._self:
            if kind == "test" and rest == self._echo:
                self._echoed.set()
        elif kind == "jobs":
            self._heard([hint for word in rest.split() if (hint := _hint(word)) is not None])


def _hint(word: str) -> Hint | None:
    """A job's move; None for what a later version may say."""
    job_id, *numbers = word.split(":")
    try:
        after, seq = map(int, numbers)
    except ValueError:
        return None
    return Hint(job_id, after, seq)


@asynccontextmanager
async def _at_most(seconds: float) -> AsyncIterator[None]:
    """Wait no longer; that the time is over is no error."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        pass
