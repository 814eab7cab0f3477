"""An open database: all repositories over one dialect."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from askback_server.domain.errors import StorageUnavailable
from askback_server.ports.clock import Clock, SystemClock
from askback_server.ports.wakeups import Wakeups
from askback_server.storage.absences import AbsenceRows
from askback_server.storage.audit_rows import AuditRows
from askback_server.storage.census import Counts
from askback_server.storage.checkpoints import CheckpointRows
from askback_server.storage.dialect import Dialect
from askback_server.storage.event_feed import EventFeed
from askback_server.storage.job_store import Jobs
from askback_server.storage.outages import first_line
from askback_server.storage.overview import Overviews
from askback_server.storage.people import PeopleRows
from askback_server.storage.presence import Presences
from askback_server.storage.queue_locks import QueueLockStore
from askback_server.storage.reader import Reader
from askback_server.storage.rules import RuleRows
from askback_server.storage.schema import check_schema
from askback_server.storage.settings import get_setting, touch_settings
from askback_server.storage.sign_outs import SignOutRows
from askback_server.storage.sqlite_files import database_problem
from askback_server.storage.work_queue import WorkQueueStore
from askback_server.storage.worker_sessions import Sessions


class Database:
    """The Storage port. Use `await Database.open(url)`; the schema must exist (migrate.py)."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._dialect = dialect_for(url, clock)
        self._reader = Reader(self._dialect)
        self.jobs = Jobs(self._dialect)
        self.queue = WorkQueueStore(self._dialect)
        self.sessions = Sessions(self._dialect)
        self.queue_locks = QueueLockStore(self._dialect)
        self.presence = Presences(self._dialect)
        self.sign_outs = SignOutRows(self._dialect)
        self.people = PeopleRows(self._dialect)
        self.rules = RuleRows(self._dialect)
        self.absences = AbsenceRows(self._dialect)
        self.overview = Overviews(self._dialect)
        self.checkpoints = CheckpointRows(self._dialect)
        self.audit = AuditRows(self._dialect)
        self.feed = EventFeed(self._dialect)
        self.census = Counts(self._dialect)
        self.wakeups: Wakeups = self._dialect.wakeups()

    @classmethod
    async def open(cls, url: str, clock: Clock | None = None) -> Database:
        """Connect and check the schema. PostgreSQL has its own clock; SQLite uses `clock`.

        Raises StorageUnavailable; its message says what to do.
        """
        try:
            database = cls(url, clock or SystemClock())
        except sa.exc.ArgumentError as error:
            raise StorageUnavailable(f"the database's URL is wrong: {first_line(error)}") from error
        try:
            await database._dialect.open()
            if refused := await database._dialect.run(database._check):
                raise StorageUnavailable(refused)
            await database._dialect.make_room()
        except BaseException as error:
            await database.close()
            if isinstance(error, OSError | sa.exc.SQLAlchemyError) or (
                url.startswith("sqlite") and isinstance(error, StorageUnavailable) and error.__cause__
            ):
                problem = database_problem(url, error)
                raise StorageUnavailable(f"cannot use the database: {problem}") from error
            raise
        return database

    def _check(self, connection: sa.Connection) -> str:
        """A message that says why this version cannot run on the database; empty if it can."""
        if refused := check_schema(connection) or self._dialect.check_history(connection):
            return refused
        # Fail now, not with the first answer, if the file or server is read-only or the disk is full.
        touch_settings(connection)
        return ""

    async def ping(self) -> datetime:
        """The database's time. Raises StorageUnavailable."""
        return await self._reader.now()

    async def secret(self) -> bytes:
        """The key that signs resume and page tokens."""
        return bytes.fromhex(str(await self._dialect.run(lambda c: get_setting(c, "token_key"))))

    async def close(self) -> None:
        """Close every connection."""
        await self._dialect.close()


def dialect_for(url: str, clock: Clock) -> Dialect:
    """The dialect for a database URL. `clock` serves SQLite, which has no server and so no clock.

    Raises ValueError, naming the supported URLs.
    """
    parsed = sa.make_url(url)
    if parsed.drivername == "sqlite+aiosqlite":
        # Imported here: each process needs the libraries of one database only.
        from askback_server.storage.sqlite import SQLite

        return SQLite(parsed, clock)
    if parsed.drivername == "postgresql+asyncpg":
        from askback_server.storage.postgres import Postgres

        return Postgres(parsed)
    raise ValueError(
        f"the database URL starts with {parsed.drivername!r}; use sqlite+aiosqlite:///FILE or "
        "postgresql+asyncpg://USER@HOST/NAME"
    )
