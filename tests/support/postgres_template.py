"""The migrated database that others are copied from."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from urllib.parse import urlsplit

from tests.support.postgres import PostgresServer


def utc_today() -> date:
    """The day of which the migration makes the partitions of the log first."""
    return datetime.now(UTC).date()


class MigratedTemplate:
    """A database with Askback's tables and without connections, so that it can be copied.

    Its log has the partitions of the day on which it was migrated. Tests expect those of today, so the first
    copy after midnight is made from a new one. `today` returns the date in UTC.
    """

    def __init__(self, server: PostgresServer, today: Callable[[], date] = utc_today) -> None:
        self._server = server
        self._today = today
        self._url = ""
        self._day: date | None = None

    @property
    def name(self) -> str:
        """The name of the database. It changes at midnight; the first call of a day takes a second."""
        # Imported late: the tests of pure parts need neither SQLAlchemy nor Alembic.
        from askback_server.storage.migrate import upgrade

        today = self._today()
        if self._day != today:
            self.drop()
            self._url = self._server.create_database()
            with ThreadPoolExecutor(1) as thread:  # it runs a loop, and the caller may be in one
                thread.submit(upgrade, self._url).result()
            self._day = today  # before the migration, which may end on the next day
        return urlsplit(self._url).path[1:]

    def drop(self) -> None:
        """Drop the database. Its copies stay."""
        if self._url:
            self._server.drop_database(self._url)
        self._url, self._day = "", None
