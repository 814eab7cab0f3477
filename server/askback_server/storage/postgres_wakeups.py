"""Wake-ups by LISTEN and NOTIFY, on two connections that write nothing else.

A NOTIFY inside the write would hold a lock of the whole cluster until its commit is on disk, which costs more
than half of the write rate. Here one NOTIFY announces all commits since the last one. A LISTEN connection may
break without the driver noticing, and behind a pooler in transaction mode it receives nothing, without an
error. So each replica sends itself a test now and then, and counts as live only if it receives it.
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
from askback_server.ports.announcements import Announcement
from askback_server.ports.wakeups import Receiver
from askback_server.storage.announcement_texts import from_texts, to_text
from askback_server.storage.outages import BROKEN, first_line

_log = logging.getLogger("askback.server.storage")

CHANNEL = "askback"
MAX_PAYLOAD_BYTES = 7_900
"""Bytes in one notification; PostgreSQL takes fewer than 8000."""
MAX_JOBS = 1_000
"""Maximum number of jobs that wait to be announced. If there are more, the receivers read the log instead."""
TEST_SECONDS = 5.0
"""Seconds between two tests of the listener."""
ECHO_SECONDS = 3.0
"""Seconds within which the listener must receive this replica's own test."""
PAUSE, MAX_PAUSE, SILENT_PAUSE = 0.25, 2.0, 30.0
"""Seconds before a broken connection is replaced, their maximum, and the seconds after a connection that
received nothing. They double, with jitter."""

_NOTIFY = (
    # Nothing is lost if a notification is: it need not wait until its transaction is on disk.
    "SELECT set_config('synchronous_commit', 'off', true), count(pg_notify($1, payload)) "
    "FROM unnest($2::text[]) AS payload"
)

Connect = Callable[[str], AbstractAsyncContextManager["asyncpg.Connection[asyncpg.Record]"]]
"""Opens a new connection with a name in pg_stat_activity."""


class _ListenerSilent(Exception):
    """The listener does not receive notifications."""


class PostgresWakeups:
    """The Wakeups port. `connect` opens a new connection with a name."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._self = secrets.token_hex(4)
        """Distinguishes this replica's notifications from others'. Names of replicas need not be unique."""
        self._pending: dict[str, Announcement] = {}
        self._overflown = False
        """Whether a commit is not in `_pending`, because there was no room."""
        self._echo = ""
        """The test to send and receive; empty without one."""
        self._called = ""
        """The last test that was sent."""
        self._wake = asyncio.Event()
        self._echoed = asyncio.Event()
        self._receive: Receiver = lambda announced: None
        self._warned_silent = False
        self.live = False

    def send(self, announced: Iterable[Announcement]) -> None:
        """Queue announcements for the next notification. Does not wait."""
        pending = self._pending
        for item in announced:
            known = pending.get(item.job_id)
            if known is not None:
                pending[item.job_id] = known.merge(item)
            elif len(pending) < MAX_JOBS:
                pending[item.job_id] = item
            else:
                self._overflown = True
        if pending:
            self._wake.set()

    async def run(self, receive: Receiver) -> None:
        """Send and listen until cancelled."""
        self._receive = receive
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run_with_retries("sending wake-ups", self._send_all))
            tasks.create_task(self._run_with_retries("listening for wake-ups", self._listen))

    async def _run_with_retries(
        self, what: str, work: Callable[[Callable[[], None]], Awaitable[None]]
    ) -> None:
        """Run `work`, again after each error, with backoff. It calls its argument once it is connected."""
        pause = PAUSE

        def on_connected() -> None:
            nonlocal pause
            pause = PAUSE

        while True:
            try:
                await work(on_connected)
            except _ListenerSilent:
                self._warn_silent()
                pause = SILENT_PAUSE if pause >= MAX_PAUSE else pause
            except (*BROKEN, StorageUnavailable) as error:
                _log.info("%s: %s", what, first_line(error))
            except Exception:
                _log.exception("%s failed", what)
            await asyncio.sleep(random.uniform(pause / 2, pause))
            pause = min(pause * 2, MAX_PAUSE)

    async def _send_all(self, on_connected: Callable[[], None] = lambda: None) -> None:
        async with self._connect("askback wake-ups") as connection:
            self._wake.set()  # for announcements that are already queued
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._send_pending(connection)
                on_connected()

    async def _send_pending(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Send what is queued. It is in this frame only: while nothing is queued, nothing is kept."""
        echo, pending, self._pending = self._echo, self._pending, {}
        try:
            payloads = self._payloads(echo, pending.values())
            await connection.execute(_NOTIFY, CHANNEL, payloads, timeout=ECHO_SECONDS)
        except BaseException:
            later, self._pending = self._pending, pending
            self.send(later.values())
            raise
        self._overflown = False
        self._called = echo

    def _payloads(self, echo: str, pending: Iterable[Announcement]) -> list[str]:
        """The texts of the notifications: as many announcements in each as fit."""
        payloads = [f"{self._self} test {echo}"] if echo else []
        start = f"{self._self} jobs "
        room = 0
        for text in map(to_text, pending):
            if len(text) + 1 > room:
                payloads.append(f"{start}[{text}")
                room = MAX_PAYLOAD_BYTES - len(payloads[-1]) - 1
            else:
                payloads[-1] += f",{text}"
                room -= len(text) + 1
        payloads = [p + "]" if p.startswith(start) else p for p in payloads]
        return [*payloads, f"{start}[]"] if self._overflown else payloads

    async def _listen(self, on_connected: Callable[[], None]) -> None:
        async with self._connect("askback listener") as connection:
            gone = asyncio.Event()
            connection.add_termination_listener(lambda _: gone.set())
            await connection.add_listener(CHANNEL, self._on_notify)
            try:
                while not gone.is_set():
                    await self._test()
                    on_connected()
                    if not self.live:
                        _log.info("wake-ups of other replicas are heard")
                        self.live = True
                        self._receive(())  # read the log for commits before the listener worked
                    async with _at_most(TEST_SECONDS):
                        await gone.wait()
                raise StorageUnavailable("the listener's connection was closed")
            finally:
                self.live = False

    async def _test(self) -> None:
        """Send a test and receive it. Raises _ListenerSilent, StorageUnavailable."""
        self._echo = echo = secrets.token_hex(4)
        self._echoed.clear()
        self._wake.set()
        async with _at_most(ECHO_SECONDS):
            await self._echoed.wait()
        self._echo = ""
        if not self._echoed.is_set():
            raise _ListenerSilent if self._called == echo else StorageUnavailable("no test could be sent")

    def _warn_silent(self) -> None:
        """Warn once per process: behind a pooler the listener never works."""
        if not self._warned_silent:
            self._warned_silent = True
            _log.warning(
                "NOTIFY is not heard by LISTEN (a pooler in transaction mode does that): other replicas' "
                "commits are found by polling, and each try to listen again is silent"
            )

    def _on_notify(self, connection: Any, pid: int, channel: str, payload: object) -> None:
        sender, _, said = str(payload).partition(" ")
        kind, _, rest = said.partition(" ")
        if sender == self._self:
            if kind == "test" and rest == self._echo:
                self._echoed.set()
        elif kind == "jobs":
            # Nothing that can be parsed, as from a replica of another version: the log is read.
            self._receive(from_texts(rest))


@asynccontextmanager
async def _at_most(seconds: float) -> AsyncIterator[None]:
    """Limit the time of the block; a timeout is not an error."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        pass
