"""Failpoints of a replica: the process kills itself when it reaches a place for the n-th time.

The places are before and after each commit, and before and after each write to a stream. This module
patches them into the server; the server has no code for them.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from typing import Any

import asyncpg

from askback_server.ports.storage import UnknownOutcome
from askback_server.storage.postgres import Postgres
from askback_server.storage.sqlite import SQLite
from askback_server.transport import streams
from tests.faults.history import Recorder

_DRIVER = (asyncpg.InterfaceError, asyncpg.InternalClientError)
PLACES = ("before_commit", "after_commit", "before_send", "after_send")


class Failpoints:
    """`spec` is `PLACE=N`, or several separated by commas: kill the process at the N-th pass of PLACE."""

    def __init__(self, spec: str, recorder: Recorder) -> None:
        pairs = (part.split("=") for part in spec.split(",") if part)
        self._at = {place: int(number) for place, number in pairs}
        self._hits: Counter[str] = Counter()
        self._recorder = recorder

    def hit(self, place: str) -> None:
        """Count a pass of this place; kill the process if it is the one to fail at."""
        self._hits[place] += 1
        if self._hits[place] == self._at.get(place):
            self._recorder.write("failpoint", place=place, passed=self._hits[place])
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Patch the failpoints into the server."""
        self._around_commits(Postgres)
        self._around_commits(SQLite)
        self._around_sends()

    def _around_commits(self, dialect: Any) -> None:
        write = dialect.write

        async def with_failpoints(this: Any, batch: Any) -> Any:
            self.hit("before_commit")
            outcome = await write(this, batch)
            self.hit("after_commit")
            return outcome

        dialect.write = with_failpoints

    def _around_sends(self) -> None:
        run = streams._Stream.run

        async def with_failpoints(this: Any) -> None:
            this._context = _Context(this._context, self)
            await run(this)

        streams._Stream.run = with_failpoints  # type: ignore[method-assign]


class _Context:
    """A stream's context with failpoints around its writes."""

    def __init__(self, context: Any, failpoints: Failpoints) -> None:
        self._context = context
        self._failpoints = failpoints
        self.read = context.read

    async def write(self, message: bytes) -> None:
        self._failpoints.hit("before_send")
        await self._context.write(message)
        self._failpoints.hit("after_send")


def slow_commits(share: float, seconds: float, seed: int) -> None:
    """Delay the commits of a share of the writes on PostgreSQL: the ids of their events are assigned long
    before other transactions can see them."""
    rng, write = random.Random(seed), Postgres.write

    async def write_slowly(this: Postgres, batch: Any) -> Any:
        if rng.random() >= share:
            return await write(this, batch)
        try:
            connection = await this._connection()
        except Exception:
            return await write(this, batch)  # let it raise its own error
        transaction = connection.transaction()
        try:
            await transaction.start()
            outcome = await write(this, batch)
            await asyncio.sleep(rng.uniform(0, seconds))
            await transaction.commit()
        except (OSError, TimeoutError, asyncpg.PostgresError, *_DRIVER) as error:
            await this._disconnect()
            raise UnknownOutcome(f"a slow commit: {error}") from error
        except BaseException:
            await this._disconnect()
            raise
        return outcome

    Postgres.write = write_slowly  # type: ignore[method-assign]
