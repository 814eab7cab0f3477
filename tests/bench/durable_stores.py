"""The writes of the durable floor: one transaction for each batch of rows, on disk when `write` returns."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Protocol

import asyncpg

Row = tuple[str, tuple[Any, ...]]
"""The name of a statement, and its values."""

TABLES = """
CREATE TABLE jobs (job_id {id} PRIMARY KEY, job_type text NOT NULL, request_id text NOT NULL,
  state smallint NOT NULL, version bigint NOT NULL, holder text, open_prompts int NOT NULL DEFAULT 0,
  updated_at {time} NOT NULL, input text, result text);
CREATE TABLE prompts (prompt_id {id} PRIMARY KEY, job_id {id} NOT NULL, key text NOT NULL,
  state smallint NOT NULL, version bigint NOT NULL, content {bytes} NOT NULL, response {bytes},
  created_at {time} NOT NULL, responded_at {time}, UNIQUE (job_id, key));
CREATE TABLE answers (prompt_id {id} NOT NULL, answer_id text NOT NULL, job_id {id} NOT NULL,
  answer {bytes} NOT NULL, created_at {time} NOT NULL, PRIMARY KEY (prompt_id, answer_id));
CREATE TABLE events (id {number}, job_id {id} NOT NULL, seq bigint NOT NULL, type text NOT NULL,
  at {time} NOT NULL, data text);
CREATE INDEX events_of_job ON events (job_id, seq);
"""


_SQLITE = {
    "add_job": "INSERT INTO jobs (job_id, job_type, request_id, state, version, updated_at, input, holder)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    "change_job": "UPDATE jobs SET state = ?, version = ?, holder = ?, open_prompts = ?, updated_at = ?,"
    " result = ? WHERE job_id = ? AND version = ?",
    "add_prompt": "INSERT INTO prompts (prompt_id, job_id, key, state, version, content, created_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)",
    "change_prompt": "UPDATE prompts SET state = ?, version = ?, response = ?, responded_at = ?"
    " WHERE prompt_id = ?",
    "add_answer": "INSERT INTO answers VALUES (?, ?, ?, ?, ?)",
    "add_event": "INSERT INTO events (job_id, seq, type, at, data) VALUES (?, ?, ?, ?, ?)",
}
_POSTGRES = {
    "add_job": (
        "INSERT INTO jobs (job_id, job_type, request_id, state, version, updated_at, input, holder)"
        " SELECT * FROM {rows}",
        ("uuid", "text", "text", "smallint", "bigint", "timestamptz", "text", "text"),
    ),
    "change_job": (
        "UPDATE jobs SET state = r.c0, version = r.c1, holder = r.c2, open_prompts = r.c3,"
        " updated_at = r.c4, result = r.c5 FROM {rows} WHERE job_id = r.c6 AND version = r.c7",
        ("smallint", "bigint", "text", "int", "timestamptz", "text", "uuid", "bigint"),
    ),
    "add_prompt": (
        "INSERT INTO prompts (prompt_id, job_id, key, state, version, content, created_at)"
        " SELECT * FROM {rows}",
        ("uuid", "uuid", "text", "smallint", "bigint", "bytea", "timestamptz"),
    ),
    "change_prompt": (
        "UPDATE prompts SET state = r.c0, version = r.c1, response = r.c2, responded_at = r.c3"
        " FROM {rows} WHERE prompt_id = r.c4",
        ("smallint", "bigint", "bytea", "timestamptz", "uuid"),
    ),
    "add_answer": (
        "INSERT INTO answers SELECT * FROM {rows}",
        ("uuid", "text", "uuid", "bytea", "timestamptz"),
    ),
    "add_event": (
        "INSERT INTO events (job_id, seq, type, at, data) SELECT * FROM {rows}",
        ("uuid", "bigint", "text", "timestamptz", "text"),
    ),
}
"""Statements over `{rows}`, and the types of its columns c0, c1 …"""


class Store(Protocol):
    """A database."""

    async def open(self) -> None:
        """Connect, and create the tables."""

    @staticmethod
    def time(at: datetime) -> Any:
        """A time as a value of a row."""

    async def write(self, rows: Sequence[Row]) -> None:
        """Commit rows."""


def by_statement(rows: Iterable[Row]) -> dict[str, list[tuple[Any, ...]]]:
    """The values of each statement. A job that is created and leased by one batch is one row, as in Askback:
    in one statement of PostgreSQL the change would not find the new row."""
    found: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    created: dict[str, int] = {}
    for name, values in rows:
        if name == "add_job":
            created[values[0]] = len(found[name])
        if name == "change_job" and (at := created.get(values[6])) is not None:
            state, version, holder, _, updated_at, *_ = values
            job_id, job_type, request_id, *_, content, _ = found["add_job"][at]
            found["add_job"][at] = (job_id, job_type, request_id, state, version, updated_at, content, holder)
        else:
            found[name].append(values)
    return found


class SQLiteStore:
    """A file, written by one thread with prepared statements (which sqlite3 keeps by their text)."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(1)
        self._connection: sqlite3.Connection

    async def open(self) -> None:
        """Open the file as Askback does: WAL, and each commit on disk."""
        connection = sqlite3.connect(self._file, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-32000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(
            TABLES.format(id="text", time="text", bytes="blob", number="integer PRIMARY KEY AUTOINCREMENT")
        )
        self._connection = connection

    @staticmethod
    def time(at: datetime) -> Any:
        """As text."""
        return at.isoformat()

    async def write(self, rows: Sequence[Row]) -> None:
        """Commit in the thread, so that the loop goes on during the flush."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, rows)

    def _write(self, rows: Sequence[Row]) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        for name, values in by_statement(rows).items():
            connection.executemany(_SQLITE[name], values)
        connection.execute("COMMIT")


class PostgresStore:
    """A connection. The rows of a batch are one prepared statement with an array for each column."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._prepared: dict[tuple[str, ...], Any] = {}
        self._connection: Any

    async def open(self) -> None:
        """Connect, with the planner's settings of Askback: joins by index, whatever the statistics say."""
        self._connection = await asyncpg.connect(self._url)
        number = "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        tables = TABLES.format(id="uuid", time="timestamptz", bytes="bytea", number=number)
        await self._connection.execute(tables)
        for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_material"):
            await self._connection.execute(f"SET {setting} = off")

    @staticmethod
    def time(at: datetime) -> Any:
        """As it is."""
        return at

    async def write(self, rows: Sequence[Row]) -> None:
        """Commit with one round trip."""
        parts = by_statement(rows)
        shape = tuple(sorted(parts))
        if shape not in self._prepared:
            self._prepared[shape] = await self._connection.prepare(self._statement(shape))
        columns = (column for name in shape for column in zip(*parts[name], strict=True))
        await self._prepared[shape].fetchval(*columns)

    def _statement(self, shape: Sequence[str]) -> str:
        """A common table expression for each part; the last query returns one value."""
        parts, before = [], 0
        for name in shape:
            text, types = _POSTGRES[name]
            arrays = ", ".join(f"${before + n}::{kind}[]" for n, kind in enumerate(types, 1))
            columns = ", ".join(f"c{n}" for n in range(len(types)))
            parts.append(f"{name} AS ({text.format(rows=f'unnest({arrays}) AS r({columns})')})")
            before += len(types)
        return f"WITH {', '.join(parts)} SELECT 1"
