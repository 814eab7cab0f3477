"""A batch of writes as rows by table: the input of both databases' writers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime
from typing import Any

from askback_server.domain.aggregate import Guard
from askback_server.domain.retries import Keep
from askback_server.ports.storage import JobWrite
from askback_server.storage import rows
from askback_server.storage.carried_rows import CARRIED_ANSWER_COLUMNS, CARRIED_CHECKPOINT_COLUMNS
from askback_server.storage.rule_tables import rule_uses
from askback_server.storage.understanding_rows import UNDERSTANDING_COLUMNS, understanding_values

Values = tuple[Any, ...]

CONDITIONS = ("guard_session", "guard_epoch", "not_before", "not_after")
"""The conditions of a guard besides the job's version. New jobs have them too: their first write may lease
them."""
GUARD_COLUMNS = ("expected", *CONDITIONS, "deleted", "in_steps")

LOSER_COLUMNS = ("job_id", *CONDITIONS)
_UNGUARDED = (None, 0, None, None)
_DELETED = GUARD_COLUMNS.index("deleted")
RULE_USES = "rule_uses"
"""The part with the rules that are used (rule_guards.py). It is counted, not stored."""
DELETES = "deletes"
"""Part of a shape: some of the changed jobs are deleted."""
SETTLES = "settles"
"""Part of a shape: the batch may have been written before."""


@dataclass(slots=True)
class Batch:
    """Rows by the operation on them.

    A child row (a prompt, an answer, an event …) names its job in the column given by `JOB_AT`, and is
    written only if the guard of that job holds.
    """

    changed_jobs: list[Values] = field(default_factory=list)
    """GUARD_COLUMNS, then JOB_CHANGED_COLUMNS; sorted by job id, the order in which rows are locked. Of a
    deleted job only the id has a value."""
    new_jobs: list[Values] = field(default_factory=list)
    """CONDITIONS, then JOB_COLUMNS; sorted by (namespace, request_id), the order in which the unique index is
    taken."""
    new_prompts: list[Values] = field(default_factory=list)
    changed_prompts: list[Values] = field(default_factory=list)
    amended_prompts: list[Values] = field(default_factory=list)
    answers: list[Values] = field(default_factory=list)
    checkpoints: list[Values] = field(default_factory=list)
    carried_answers: list[Values] = field(default_factory=list)
    """Answers to copy from the job that a new job retries."""
    carried_checkpoints: list[Values] = field(default_factory=list)
    """The jobs that new jobs retry, to copy from: a new job is created only if its source still exists."""
    understandings: list[Values] = field(default_factory=list)
    events: list[Values] = field(default_factory=list)
    rule_uses: list[Values] = field(default_factory=list)
    """The rules that the writes of jobs rest on: such a job is written only if all of its rules hold."""
    settles: bool = False
    """Whether this is the second write of a batch with an unknown outcome. A new job whose events exist was
    then created by the first write, and may have been deleted since."""

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(len(getattr(self, name)) for name in PARTS)

    @property
    def shape(self) -> tuple[str, ...]:
        """The parts that have rows, and whether jobs are deleted. Each shape has its own statement."""
        shape = tuple(name for name in PARTS if getattr(self, name))
        if any(row[_DELETED] for row in self.changed_jobs):
            shape = (*shape, DELETES)
        return (*shape, SETTLES) if self.settles else shape

    def losers(self, outcome: BatchOutcome) -> list[Values]:
        """LOSER_COLUMNS of the jobs with a guard that were not written."""
        written = outcome.written | outcome.partly
        at = JOB_AT["changed_jobs"]
        lost = [
            (row[at], *row[1 : 1 + len(CONDITIONS)]) for row in self.changed_jobs if row[at] not in written
        ]
        at = JOB_AT["new_jobs"]
        new = [(row[at], *row[: len(CONDITIONS)]) for row in self.new_jobs if row[at] not in written]
        return [*lost, *(row for row in new if row[1:] != _UNGUARDED)]


@dataclass(slots=True, kw_only=True)
class BatchOutcome:
    """Which jobs of a batch were written, and which guards refused the others, by job id.

    A job in none of these sets has lost its version: another write came first.
    """

    now: datetime
    """The database's time of the write."""
    written: set[str] = field(default_factory=set)
    expired: set[str] = field(default_factory=set)
    """The session that the guard names has expired, or lives on under a newer epoch."""
    superseded: set[str] = field(default_factory=set)
    """Of the `expired`, those whose session lives on under a newer epoch."""
    partly: set[str] = field(default_factory=set)
    """Rows of these jobs, which are deleted in steps, remain."""
    late: set[str] = field(default_factory=set)
    """The guard's time bounds do not hold."""


PARTS: dict[str, tuple[str, ...]] = {
    "changed_jobs": (*GUARD_COLUMNS, *rows.JOB_CHANGED_COLUMNS),
    "new_jobs": (*CONDITIONS, *rows.JOB_COLUMNS),
    "new_prompts": rows.PROMPT_COLUMNS,
    "changed_prompts": rows.PROMPT_CHANGED_COLUMNS,
    "amended_prompts": (*rows.PROMPT_CHANGED_COLUMNS, *rows.PROMPT_CONTENT_COLUMNS),
    "answers": rows.ANSWER_COLUMNS,
    "checkpoints": rows.CHECKPOINT_COLUMNS,
    "carried_answers": CARRIED_ANSWER_COLUMNS,
    "carried_checkpoints": CARRIED_CHECKPOINT_COLUMNS,
    "understandings": UNDERSTANDING_COLUMNS,
    "events": rows.EVENT_COLUMNS,
    RULE_USES: tuple(column.name for column in rule_uses.columns),
}

JOB_AT = {name: columns.index("job_id") for name, columns in PARTS.items()}
"""The index of the job id in the rows of each part."""


def lay_out(writes: Sequence[JobWrite]) -> Batch:
    """The rows of a batch, in the order in which locks must be taken."""
    batch = Batch()
    for write in sorted(writes, key=_lock_order):
        job, conditions = write.job, _conditions(write.guard)
        if write.expected:
            batch.changed_jobs.append(
                (
                    write.expected,
                    *conditions,
                    write.deleted,
                    write.in_steps,
                    *(_only_id(job.job_id) if write.deleted else rows.job_change_values(job)),
                )
            )
        else:
            batch.new_jobs.append((*conditions, *rows.job_values(job)))
        for use in write.guard.rules:
            batch.rule_uses.append((job.job_id, *astuple(use)))
        links = write.links or (None,) * len(write.events)
        batch.events += map(rows.event_values, write.events, links)
        if write.deleted:
            continue
        batch.new_prompts += map(rows.prompt_values, write.new_prompts.values())
        for prompt, amended in write.changed_prompts.values():
            if amended:
                batch.amended_prompts.append(
                    (*rows.prompt_change_values(prompt), *rows.prompt_content_values(prompt))
                )
            else:
                batch.changed_prompts.append(rows.prompt_change_values(prompt))
        batch.answers += map(rows.submission_values, write.submissions)
        batch.checkpoints += map(rows.checkpoint_values, write.checkpoints.values())
        if (retry := write.retry) is not None:
            batch.carried_answers += [(job.job_id, retry.job_id, a.key, a.prompt_id) for a in retry.answers]
            if retry.keep is Keep.ALL:
                batch.carried_checkpoints.append((job.job_id, retry.job_id))
        if write.understanding is not None:
            batch.understandings.append(understanding_values(write.understanding))
    return batch


def _conditions(guard: Guard) -> Values:
    session = guard.session
    if session is None:
        return None, 0, guard.not_before, guard.not_after
    return session.session_id, session.epoch, guard.not_before, guard.not_after


def _only_id(job_id: str) -> Values:
    return tuple(job_id if column == "job_id" else None for column in rows.JOB_CHANGED_COLUMNS)


def _lock_order(write: JobWrite) -> tuple[bool, str, str]:
    job = write.job
    if write.expected:
        return False, job.job_id, ""
    return True, job.namespace, job.request_id or job.job_id
