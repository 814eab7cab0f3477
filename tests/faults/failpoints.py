"""Failpoints of a replica: something happens at exactly the n-th passing of a place in the program.

The places are before and after each commit, and before and after each write to a stream. They are put
around the product's own functions here; the product knows nothing of them.
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
    """`spec`: `PLACE=N`, the passing at which the process kills itself; several with commas."""

    def __init__(self, spec: str, recorder: Recorder) -> None:
        pairs = (part.split("=") for part in spec.split(",") if part)
        self._at = {place: int(number) for place, number in pairs}
        self._passed: Counter[str] = Counter()
        self._recorder = recorder

    def passing(self, place: str) -> None:
        """The program is at this place. It may not go on from here."""
        self._passed[place] += 1
        if self._passed[place] == self._at.get(place):
            self._recorder.say("failpoint", place=place, passed=self._passed[place])
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Put them into the program."""
        self._around_commits(Postgres)
        self._around_commits(SQLite)
        self._around_sends()

    def _around_commits(self, dialect: Any) -> None:
        write = dialect.write

        async def watched(this: Any, batch: Any) -> Any:
            self.passing("before_commit")
            outcome = await write(this, batch)
            self.passing("after_commit")
            return outcome

        dialect.write = watched

    def _around_sends(self) -> None:
        serve = streams._serve

        async def watched(replica: Any, session: Any, context: Any, *more: Any) -> None:
            await serve(replica, session, _Context(context, self), *more)

        streams._serve = watched


class _Context:
    """A stream's context whose writes pass failpoints."""

    def __init__(self, context: Any, failpoints: Failpoints) -> None:
        self._context = context
        self._failpoints = failpoints
        self.read = context.read

    async def write(self, message: bytes) -> None:
        self._failpoints.passing("before_send")
        await self._context.write(message)
        self._failpoints.passing("after_send")


def slow_commits(share: float, seconds: float, seed: int) -> None:
    """Some writes on PostgreSQL stay open for a while between their statement and their commit: the ids
    of their events are drawn long before anybody can see them."""
    dice, write = random.Random(seed), Postgres.write

    async def slow(this: Postgres, batch: Any) -> Any:
        if dice.random() >= share:
            return await write(this, batch)
        try:
            connection = await this._connection()
        except Exception:
            return await write(this, batch)  # it says so in its own way
        transaction = connection.transaction()
        try:
            await transaction.start()
            outcome = await write(this, batch)
            await asyncio.sleep(dice.uniform(0, seconds))
            await transaction.commit()
        except (OSError, TimeoutError, asyncpg.PostgresError, *_DRIVER) as error:
            await this._disconnect()
            raise UnknownOutcome(f"a slow commit: {error}") from error
        except BaseException:
            await this._disconnect()
            raise
        return outcome

    Postgres.write = slow  # type: ignore[method-assign]
