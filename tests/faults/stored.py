"""Dump the database at the end of a run as JSON lines, without using the server."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg

from askback_server.audit import verify_stored
from askback_server.domain.stored_jobs import Fault
from askback_server.storage.audit_reads import AuditReads, read_audit
from tests.faults.database import PostgreSQL, SQLiteFile

TABLES = {
    "job": (
        "jobs",
        "job_id",
        "job_id, job_type, status, attempt, max_attempts, version, token, session_id, request_id, result, "
        "input, created_at, completed_at, retention_s, rounds, open_prompts, open_blocking, ready_at",
    ),
    "prompt": (
        "hitl_interactions",
        "interaction_id",
        "interaction_id, job_id, key, status, revision, version, response_data, timeout_at, consumed_at, "
        "audience, submissions, created_at",
    ),
    "answer": (
        "hitl_answers",
        "interaction_id, seq",
        "interaction_id, answer_id, job_id, seq, status, answer",
    ),
    "log": ("job_events", "job_id, seq, id", "id, xid, at, job_id, seq, type, actor, state, prompt_id, data"),
    "session": ("worker_sessions", "session_id", "session_id, worker_id, expires_at"),
}
_TIMES = {"created_at", "completed_at", "timeout_at", "consumed_at", "ready_at", "at", "expires_at"}
_DOCUMENTS = {"input", "response_data", "audience", "answer", "data"}


def _plain(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _TIMES:
        return (value if isinstance(value, datetime) else datetime.fromisoformat(value)).timestamp()
    if name in _DOCUMENTS:
        return json.loads(value) if isinstance(value, str) else value
    return value if isinstance(value, int | float | str) else str(value)


def dump(database: SQLiteFile | PostgreSQL, path: Path) -> None:
    """Write all tables to a file. Each line has the row's columns and `e`, the kind of row.

    The last lines, of the kind `wrong`, are the rows that are not what the hash chain says.
    """
    with path.open("w") as file:
        if isinstance(database, SQLiteFile):
            with closing(sqlite3.connect(database.path)) as connection:
                for kind, (table, order, columns) in TABLES.items():
                    names = columns.split(", ")
                    for row in connection.execute(f"SELECT {columns} FROM {table} ORDER BY {order}"):
                        _write(file, kind, names, row)
        else:
            asyncio.run(_dump_postgres(database, file))
        url = f"sqlite:///{database.path}" if isinstance(database, SQLiteFile) else database.url()
        for fault in read_audit(url, _verify):
            file.write(json.dumps({"e": "wrong", "row": str(fault)}) + "\n")


def _verify(reads: AuditReads) -> list[Fault]:
    flags = ({"namespace": namespace} for namespace in reads.namespaces())
    return [fault for each in flags for fault in verify_stored(reads, flags=each, keys=[]).faults]


async def _dump_postgres(database: PostgreSQL, file: Any) -> None:
    dsn = database.url().replace("+asyncpg", "")
    connection = await asyncpg.connect(dsn)
    try:
        for kind, (table, order, columns) in TABLES.items():
            names = columns.split(", ")
            async with connection.transaction():
                statement = f"SELECT {columns} FROM {table} ORDER BY {order}"
                async for row in connection.cursor(statement, prefetch=5_000):
                    _write(file, kind, names, row)
    finally:
        await connection.close()


def _write(file: Any, kind: str, names: list[str], row: Any) -> None:
    line = {"e": kind, **{n: _plain(n, v) for n, v in zip(names, row, strict=True) if v is not None}}
    file.write(json.dumps(line, separators=(",", ":")) + "\n")
