"""Delete jobs on SQLite (removal.py): a few statements for any number of jobs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite as lite

from askback_server.storage.removal import CHILDREN, rows_to_delete
from askback_server.storage.sqlite_lists import among_array, octets
from askback_server.storage.tables import jobs


class _Listed:
    """A compiled statement that takes a list."""

    __slots__ = ("_constants", "_sql")

    def __init__(self, statement: sa.Select[Any] | sa.Delete) -> None:
        compiled = statement.compile(dialect=lite.dialect(paramstyle="named"))
        self._sql, self._constants = str(compiled), compiled.params

    def execute(self, cursor: sqlite3.Cursor, listed: Sequence[Any]) -> sqlite3.Cursor:
        """Run it."""
        return cursor.execute(self._sql, {**self._constants, "listed": json.dumps(listed)})


def _select_step(table: sa.Table) -> _Listed:
    return _Listed(rows_to_delete(table, among_array(table.c.job_id, "listed"), "rowid", octets))


def _delete(table: sa.Table, column: sa.ColumnElement[Any]) -> _Listed:
    return _Listed(sa.delete(table).where(among_array(column, "listed")))


_STEPS = [(_select_step(table), _delete(table, sa.literal_column("rowid"))) for table in CHILDREN]
_DELETE_JOBS = _delete(jobs, jobs.c.job_id)
_GUARDED = (
    "SELECT jobs.job_id FROM json_each(?) AS asked JOIN jobs "
    "ON jobs.job_id = json_extract(asked.value, '$[0]') AND jobs.version = json_extract(asked.value, '$[1]')"
)


def delete_jobs(
    cursor: sqlite3.Cursor, asked: Sequence[tuple[str, int, bool]]
) -> tuple[list[str], list[str]]:
    """Delete jobs by id and version, in steps or not. Returns the ids of deleted jobs, and of those with rows
    left."""
    pairs = json.dumps([(job_id, version) for job_id, version, _ in asked])
    found = {row[0] for row in cursor.execute(_GUARDED, (pairs,))}
    stepwise = [job_id for job_id, _, in_steps in asked if in_steps and job_id in found]
    left = _delete_step(cursor, stepwise) if stepwise else False
    partly = stepwise if left else []
    deleted = [job_id for job_id, _, _ in asked if job_id in found and job_id not in partly]
    if deleted:
        _DELETE_JOBS.execute(cursor, deleted)
    return deleted, partly


def _delete_step(cursor: sqlite3.Cursor, job_ids: Sequence[str]) -> bool:
    """Delete rows of jobs in other tables. Returns whether rows are left."""
    left = False
    for select, delete in _STEPS:
        rows = select.execute(cursor, job_ids).fetchall()
        places = [place for place, fits in rows if fits]
        if places:
            delete.execute(cursor, places)
        left = left or len(places) < len(rows)
    return left
