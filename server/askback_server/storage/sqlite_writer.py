"""The connection of SQLite that writes, and the thread that runs its transactions.

The way to the thread and back takes longer than a small transaction on a fast disk. So a small one runs in
the event loop if the thread is idle and recent writes were quick. The loop never waits for another process
that holds the file, and checkpoints of the write-ahead log run in a thread on a connection of their own.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

import sqlalchemy as sa

_log = logging.getLogger("askback.server.storage")

T = TypeVar("T")

MAX_SHARED = 32
"""Small transactions that share a commit, at most: batches wait for them."""
QUICK_SECONDS = 0.002
"""Small transactions run in the event loop while the average of recent writes is below this."""
WEIGHT = 1 / 16
"""Weight of the last write in that average."""
CHECKPOINT_ROWS = 1_000
"""Rows written between two checkpoints: with their indexes about as many pages as SQLite's default."""
COMMIT_ROWS = 16
"""As how many rows a transaction counts besides its own."""
MAX_LOG_PAGES = 20_000
"""Pages of the log after which a writer checkpoints itself, in case the thread does not keep up."""


class _HeldByOther(Exception):
    """Another process writes to the file."""


@dataclass(slots=True, eq=False)
class _Small:
    """A small transaction and its outcome."""

    work: Callable[[sa.Connection], Any]
    reply: asyncio.Future[Any]
    found: Any = None
    error: BaseException | None = None

    def run(self, connection: sa.Connection) -> None:
        """Run it within a transaction. If it fails, it alone is rolled back."""
        try:
            with connection.begin_nested():
                self.found = self.work(connection)
        except BaseException as error:
            self.error = error

    def settle(self) -> None:
        """Give the outcome to its caller."""
        if self.reply.done():
            return
        if self.error is not None:
            self.reply.set_exception(self.error)
        else:
            self.reply.set_result(self.found)


class Writer:
    """Runs one transaction at a time. All methods but the private ones are for the event loop's thread.

    `connect` opens another connection to the file, for checkpoints.
    """

    def __init__(self, engine: sa.Engine, connect: Callable[[], sqlite3.Connection]) -> None:
        self.engine = engine
        self._connect = connect
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="askback-sqlite")
        self._last: Future[Any] = Future()
        """What the thread does, or has done, last."""
        self._raw: sqlite3.Connection | None = None
        self._small: deque[_Small] = deque()
        """Small transactions that wait for the thread."""
        self._small_is_due = False
        """Whether the thread has been asked to run them, and has not begun."""
        self._patience = 0
        """Milliseconds for which the thread waits for another process."""
        self._seconds = 0.0
        """Average of recent writes."""
        self._rows = 0
        """Rows since the last checkpoint."""
        self._checkpoints = ThreadPoolExecutor(1, thread_name_prefix="askback-checkpoint")
        self._beside: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Connect. Raises sqlite3.Error, DBAPIError."""
        await self.call(self._open)

    def _open(self) -> None:
        with self.engine.connect() as connection:
            self._raw = connection.connection.driver_connection
        assert self._raw is not None
        self._raw.execute(f"PRAGMA wal_autocheckpoint={MAX_LOG_PAGES}")
        [[self._patience]] = self._raw.execute("PRAGMA busy_timeout").fetchall()
        self._beside = self._connect()

    async def close(self) -> None:
        """Run what waits, then close the connections."""
        await self.call(self.engine.dispose)
        self._thread.shutdown()
        await asyncio.to_thread(self._checkpoints.shutdown)
        if self._beside is not None:
            self._beside.close()

    async def call(self, work: Callable[..., T], *args: Any) -> T:
        """Run `work` in the thread, between two transactions."""
        self._last = self._thread.submit(work, *args)
        found: T = await asyncio.wrap_future(self._last)
        return found

    async def transact(self, work: Callable[[sqlite3.Cursor], T], rows: int, is_small: bool) -> T:
        """Run `work` in a transaction that writes about `rows` rows. Raises sqlite3.Error, and its errors."""
        self._rows += rows + COMMIT_ROWS
        if self._rows >= CHECKPOINT_ROWS:
            self._rows = 0
            self._checkpoints.submit(self._checkpoint)
        if is_small and self._is_quick:
            with suppress(_HeldByOther):
                found = self._transact_here(work)
                # What this turn of the loop has woken runs first, as it does after the thread: otherwise a
                # stream could send the change of a prompt before the reply to the answer that made it.
                await asyncio.sleep(0)
                return found
        return await self.call(self._transact, work)

    @property
    def _is_quick(self) -> bool:
        """Whether the thread is idle, and writes take little time."""
        return self._last.done() and self._seconds < QUICK_SECONDS

    def _transact_here(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        """Run a transaction in this thread. Raises _HeldByOther before it has begun."""
        assert self._raw is not None
        self._raw.execute("PRAGMA busy_timeout=0")
        try:
            return self._transact(work)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            raise _HeldByOther from error
        finally:
            self._raw.execute(f"PRAGMA busy_timeout={self._patience}")

    def _transact(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        assert self._raw is not None
        started = perf_counter()
        cursor = self._raw.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            found = work(cursor)
            cursor.execute("COMMIT")
        except BaseException:
            cursor.execute("ROLLBACK") if self._raw.in_transaction else None
            raise
        finally:
            cursor.close()
            self._seconds += WEIGHT * (perf_counter() - started - self._seconds)
        return found

    def _checkpoint(self) -> None:
        """Copy the log into the file. Neither readers nor the writer wait for it."""
        assert self._beside is not None
        try:
            self._beside.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            _log.warning("a checkpoint of the write-ahead log failed: %s", error)

    async def run(self, work: Callable[[sa.Connection], T]) -> T:
        """Run a small transaction by SQLAlchemy, between two batches. Those that wait share a commit, which
        costs more than most of them. Raises DBAPIError, and the errors of `work`."""
        small = _Small(work, asyncio.get_running_loop().create_future())
        self._small.append(small)
        self._start_small()
        found: T = await small.reply
        return found

    def _start_small(self) -> None:
        if self._small and not self._small_is_due:
            self._small_is_due = True
            self._last = self._thread.submit(self._run_small)
            asyncio.wrap_future(self._last).add_done_callback(self._end_small)

    def _run_small(self) -> list[_Small]:
        """Run what waits. In the writer thread; `_small` is also appended to by the loop's thread. After some
        errors, such as a full disk, SQLite rolls back everything: then all fail."""
        self._small_is_due = False  # first: what comes from now on may miss this turn
        taken: list[_Small] = []
        while self._small and len(taken) < MAX_SHARED:
            taken.append(self._small.popleft())
        assert self._raw is not None
        try:
            with self.engine.begin() as connection:
                for small in taken:
                    small.run(connection)
                    if not self._raw.in_transaction:
                        raise sa.exc.OperationalError("", None, small.error or Exception("rolled back"))
        except BaseException as error:
            for small in taken:
                small.error = small.error or error
        return taken

    def _end_small(self, running: asyncio.Future[list[_Small]]) -> None:
        for small in running.result():
            small.settle()
        self._start_small()
