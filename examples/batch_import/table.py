"""The table that customers are imported into. Every write is idempotent."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rows import Customer

_SCHEMA = """
CREATE TABLE IF NOT EXISTS customers (
    email TEXT PRIMARY KEY, name TEXT NOT NULL, joined TEXT NOT NULL,
    job_id TEXT NOT NULL, line INTEGER NOT NULL, UNIQUE (job_id, line)
);
CREATE TABLE IF NOT EXISTS imports (job_id TEXT PRIMARY KEY, token INTEGER NOT NULL);
"""


class StaleToken(Exception):
    """Another worker has leased the job since; nothing was written."""


class Customers:
    """Customers in a SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10)) as connection:
            connection.executescript(_SCHEMA)
            with connection:
                yield connection

    def names(self) -> dict[str, str]:
        """The names of all customers, by address."""
        with self._transaction() as connection:
            return dict(connection.execute("SELECT email, name FROM customers").fetchall())

    def put(self, customer: Customer, job_id: str, token: int, *, replace: bool = False) -> bool:
        """Write a customer if the address is free or `replace` is true. Return whether the row is stored now.

        `token` is the job's fencing token: a worker that has lost the job without noticing it, because its
        machine slept, must not overwrite what its successor has written. Raises StaleToken.
        """
        with self._transaction() as connection:
            newest = connection.execute(
                "INSERT INTO imports VALUES (?, ?) ON CONFLICT (job_id) DO UPDATE SET token = excluded.token"
                " WHERE token <= excluded.token",
                (job_id, token),
            )
            if not newest.rowcount:
                raise StaleToken(f"job {job_id} was leased again after token {token}")
            # The address identifies a customer; job and line prevent a second copy of a row.
            connection.execute(
                "INSERT INTO customers (email, name, joined, job_id, line) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (email) DO "
                + (
                    "UPDATE SET name = excluded.name, joined = excluded.joined,"
                    " job_id = excluded.job_id, line = excluded.line"
                    if replace
                    else "NOTHING"
                ),
                (customer.email, customer.name, customer.joined.isoformat(), job_id, customer.line),
            )
            found = connection.execute(
                "SELECT 1 FROM customers WHERE email = ? AND job_id = ? AND line = ?",
                (customer.email, job_id, customer.line),
            )
            return found.fetchone() is not None
