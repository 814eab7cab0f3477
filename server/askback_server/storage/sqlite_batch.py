"""The statements of a batch on SQLite: compiled once, run row by row."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite as lite

from askback_server.storage import rows
from askback_server.storage.batch import (
    CONDITIONS,
    GUARD_COLUMNS,
    JOB_AT,
    PARTS,
    Batch,
    BatchOutcome,
    Values,
)
from askback_server.storage.sqlite_removal import delete_jobs
from askback_server.storage.sqlite_rules import RuleGuards
from askback_server.storage.tables import answers, checkpoints, events, jobs, prompts, understandings
from askback_server.storage.types import Instant, InstantTexts, instant_text

_EXACT: dict[type[sa.types.TypeEngine[Any]], Callable[[Any], Any]] = {
    sa.Boolean: int,
    sa.Text: str.__str__,
}
"""How values of a column's type become values of the driver. The driver takes members of StrEnum and booleans
as well, but looks for an adapter of each first."""
# The driver looks for an adapter of each None too. Where there is none, it raises and drops exceptions, which
# takes twice as long as this adapter.
sqlite3.register_adapter(type(None), {None: None}.get)

_ENUMS = frozenset({"status", "state", "type", "wake"})
"""The columns of texts that are members of an enumeration."""


class _Statement:
    """A compiled Core statement, and a function that picks its parameters from a row."""

    __slots__ = ("_convert", "_pick", "_times", "sql")

    def __init__(self, statement: sa.sql.dml.UpdateBase, columns: Sequence[str]) -> None:
        compiled = statement.compile(dialect=lite.dialect(paramstyle="qmark"))
        self.sql = str(compiled)
        names = compiled.positiontup or ()
        self._pick = itemgetter(*(columns.index(name) for name in names))
        types = {c.name: type(c.type) for c in statement.table.columns}
        self._times = [place for place, name in enumerate(names) if types.get(name) is Instant]
        self._convert = [
            (place, _EXACT[types[name]])
            for place, name in enumerate(names)
            if name in types and types[name] in _EXACT and (types[name] is not sa.Text or name in _ENUMS)
        ]

    def parameters(self, row: Values, texts: InstantTexts) -> Sequence[Any]:
        """The parameters, in the types of sqlite3: times as texts."""
        values = list(self._pick(row))
        for place in self._times:
            if (time := values[place]) is not None:
                values[place] = texts[time]
        for place, convert in self._convert:
            if (value := values[place]) is not None:
                values[place] = convert(value)
        return values


def _bind(columns: Sequence[str]) -> dict[str, Any]:
    # `_Statement.parameters` converts the values: no processing by type.
    return {c: sa.bindparam(c, type_=sa.types.NullType()) for c in columns}


def _insert(table: sa.Table, part: str, extra: dict[str, Any] | None = None) -> _Statement:
    return _Statement(sa.insert(table).values(_bind(PARTS[part]) | (extra or {})), PARTS[part])


def _upsert(table: sa.Table, part: str) -> _Statement:
    statement = lite.insert(table).values(_bind(PARTS[part]))
    keys = [c.name for c in table.primary_key.columns]
    columns = PARTS[part]
    changed = {c: statement.excluded[c] for c in columns if c not in keys}
    return _Statement(statement.on_conflict_do_update(index_elements=keys, set_=changed), columns)


def _update(table: sa.Table, part: str, key: str, columns: Sequence[str], *also: Any) -> _Statement:
    at_key = table.c[key] == sa.bindparam(key, type_=sa.types.NullType())
    # One parameter name cannot be used for setting and comparing a column.
    statement = sa.update(table).where(at_key, *also).values(_bind([c for c in columns if c != key]))
    return _Statement(statement, PARTS[part])


class _Copy:
    """A statement that copies rows of the job that is retried, without reading their large values."""

    __slots__ = ("parameters", "sql")

    def __init__(self, sql: str, part: str) -> None:
        self.sql = sql
        self.parameters: Callable[[Values, InstantTexts], Any] = lambda row, _: dict(
            zip(PARTS[part], row, strict=True)
        )


_COPIES = {
    "carried_answers": _Copy(
        "INSERT INTO job_carried_answers (job_id, key, digest, from_job_id, prompt_id, response) "
        "SELECT :job_id, key, digest, job_id, interaction_id, response_data FROM hitl_interactions "
        "WHERE interaction_id = :prompt_id AND job_id = :source_id UNION ALL "
        "SELECT :job_id, key, digest, from_job_id, prompt_id, response FROM job_carried_answers "
        "WHERE job_id = :source_id AND key = :key AND prompt_id = :prompt_id",
        "carried_answers",
    ),
    "carried_checkpoints": _Copy(
        "INSERT INTO job_checkpoints (job_id, key, value, created_at) "
        "SELECT :job_id, key, value, created_at FROM job_checkpoints WHERE job_id = :source_id",
        "carried_checkpoints",
    ),
}
"""By the part of a batch."""

_GUARDED = _update(
    jobs,
    "changed_jobs",
    "job_id",
    rows.JOB_CHANGED_COLUMNS,
    jobs.c.version == sa.bindparam("expected", type_=sa.types.NullType()),
)
_CREATE = _Statement(
    lite.insert(jobs).values(_bind(rows.JOB_COLUMNS)).on_conflict_do_nothing(), PARTS["new_jobs"]
)
_CHILDREN: dict[str, _Statement | _Copy] = {
    "new_prompts": _insert(prompts, "new_prompts"),
    "changed_prompts": _update(prompts, "changed_prompts", "interaction_id", rows.PROMPT_CHANGED_COLUMNS[2:]),
    "amended_prompts": _update(prompts, "amended_prompts", "interaction_id", PARTS["amended_prompts"][2:]),
    "answers": _insert(answers, "answers"),
    "checkpoints": _upsert(checkpoints, "checkpoints"),
    **_COPIES,
    "understandings": _upsert(understandings, "understandings"),
    "events": _insert(events, "events", {"xid": sa.literal_column("0")}),
}
_SOURCE = "SELECT 1 FROM jobs WHERE job_id = ? AND (purge_at IS NULL OR purge_at > ?)"
_EPOCH = "SELECT epoch FROM worker_sessions WHERE session_id = ? AND expires_at > ?"


class _Guards:
    """Checks the conditions of guards besides versions, and adds to the outcome which jobs fail them."""

    def __init__(self, cursor: sqlite3.Cursor, outcome: BatchOutcome, uses: Sequence[Values]) -> None:
        self._cursor = cursor
        self.rules = RuleGuards(cursor, outcome.now, uses) if uses else None
        self._outcome = outcome
        self._epochs: dict[str, int | None] = {}
        """Of the sessions that were looked up; None if the session has expired."""

    def hold(
        self,
        job_id: str,
        session: str | None,
        epoch: int,
        not_before: datetime | None,
        not_after: datetime | None,
    ) -> bool:
        """Whether the job's conditions hold at the time of the outcome."""
        now, outcome = self._outcome.now, self._outcome
        if session is not None:
            epoch_now = self._epoch_of(session)
            if epoch_now is None or epoch not in (0, epoch_now):
                outcome.expired.add(job_id)
                if epoch_now is not None and epoch_now > epoch:
                    outcome.superseded.add(job_id)
                return False
        if (not_before and now < not_before) or (not_after and now >= not_after):
            outcome.late.add(job_id)
            return False
        return self.rules is None or self.rules.hold(job_id)

    def _epoch_of(self, session: str) -> int | None:
        if session not in self._epochs:
            found = self._cursor.execute(_EPOCH, (session, instant_text(self._outcome.now))).fetchone()
            self._epochs[session] = found[0] if found is not None else None
        return self._epochs[session]


def write_rows(cursor: sqlite3.Cursor, batch: Batch, now: datetime) -> BatchOutcome:
    """Write a batch in the open transaction: jobs whose guards hold at `now`, and the rows of these jobs."""
    outcome = BatchOutcome(now=now)
    written = outcome.written
    guards, texts = _Guards(cursor, outcome, batch.rule_uses), InstantTexts()
    deletions: list[tuple[str, int, bool]] = []
    job_at = JOB_AT["changed_jobs"]
    for row in batch.changed_jobs:
        expected, session, epoch, not_before, not_after, deleted, in_steps = row[: len(GUARD_COLUMNS)]
        job_id = row[job_at]
        if not guards.hold(job_id, session, epoch, not_before, not_after):
            continue
        if deleted:
            deletions.append((job_id, expected, in_steps))
        elif cursor.execute(_GUARDED.sql, _GUARDED.parameters(row, texts)).rowcount == 1:
            written.add(job_id)
    if deletions:
        gone, partly = delete_jobs(cursor, deletions)
        written.update(gone)
        outcome.partly.update(partly)
    sources: dict[str, str] = dict(batch.carried_checkpoints)
    job_at = JOB_AT["new_jobs"]
    for row in batch.new_jobs:
        job_id = row[job_at]
        source = sources.get(job_id)
        if source is not None and cursor.execute(_SOURCE, (source, instant_text(now))).fetchone() is None:
            continue
        if not guards.hold(job_id, *row[: len(CONDITIONS)]):
            continue
        if cursor.execute(_CREATE.sql, _CREATE.parameters(row, texts)).rowcount == 1:
            written.add(job_id)
    if guards.rules is not None:
        guards.rules.count_uses(written)
    for part, statement in _CHILDREN.items():
        job_at = JOB_AT[part]
        theirs = [statement.parameters(r, texts) for r in getattr(batch, part) if r[job_at] in written]
        if theirs:
            cursor.executemany(statement.sql, theirs)
    return outcome
