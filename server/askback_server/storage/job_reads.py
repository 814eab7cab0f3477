"""Read jobs with their prompts, answers, checkpoints and events, without locks and transactions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from askback_server.domain.commands import PromptRef
from askback_server.domain.events import Event
from askback_server.domain.jobs import Checkpoint, DeepUnderstanding, Job
from askback_server.domain.prompts import Prompt, Submission
from askback_server.ports.queries import JobFilter, JobsPage, PromptFilter, PromptsPage
from askback_server.storage import rows
from askback_server.storage.aggregate_reads import AggregateReads
from askback_server.storage.paging import Documents, Paging
from askback_server.storage.tables import (
    HANDLE_AT,
    answers,
    checkpoints,
    events,
    jobs,
    prompts,
    understandings,
)
from askback_server.storage.understanding_rows import to_understanding

JOB_DOCUMENTS: Documents = (jobs.c.input, jobs.c.result, jobs.c.error)
PROMPT_DOCUMENTS: Documents = (prompts.c.prompt_data, prompts.c.response_data)
"""The columns that make up the size of a row."""
_FAR = datetime(9999, 12, 31, tzinfo=UTC)
"""The sort key of prompts without a deadline: after all prompts with one."""


class JobReads(Paging, AggregateReads):
    """The reads of the JobStore: one statement for any number of jobs."""

    async def first_jobs(self, job_ids: Sequence[str], max_bytes: int) -> tuple[list[Job], int]:
        """See JobStore."""
        count = await self._fitting_ids(jobs.c.job_id, job_ids, JOB_DOCUMENTS, max_bytes)
        return await self.get_jobs(job_ids[:count]), count

    async def first_prompts(self, prompt_ids: Sequence[str], max_bytes: int) -> tuple[list[Prompt], int]:
        """See JobStore."""
        count = await self._fitting_ids(prompts.c.interaction_id, prompt_ids, PROMPT_DOCUMENTS, max_bytes)
        return await self.get_prompts(prompt_ids[:count]), count

    async def find_prompt(self, ref: PromptRef) -> Prompt | None:
        """One prompt, by its id or by job and key."""
        if ref.prompt_id:
            condition = prompts.c.interaction_id == ref.prompt_id
        else:
            condition = sa.and_(prompts.c.job_id == ref.job_id, prompts.c.key == ref.key)
        found = await self._all(sa.select(prompts).where(condition))
        return rows.to_prompt(found[0]) if found else None

    async def list_jobs(self, filter: JobFilter, limit: int, after: str | None, max_bytes: int) -> JobsPage:
        """A page of jobs, newest first. Ids are ordered by time, so the id is the cursor."""
        where = self._job_conditions(filter)
        if after:
            where.append(jobs.c.job_id < after)
        statement = sa.select(jobs).where(*where).order_by(jobs.c.job_id.desc())
        found, last = await self._page([jobs.c.job_id], statement, JOB_DOCUMENTS, limit, max_bytes)
        return JobsPage(tuple(map(rows.to_job, found)), last["job_id"] if last else None)

    async def count_jobs(self, filter: JobFilter) -> int:
        """How many jobs match."""
        where = self._job_conditions(filter)
        found = await self._all(sa.select(sa.func.count().label("n")).select_from(jobs).where(*where))
        return int(found[0]["n"])

    def _job_conditions(self, filter: JobFilter) -> list[sa.ColumnElement[bool]]:
        among = self._dialect.among
        where: list[sa.ColumnElement[bool]] = [jobs.c.namespace == filter.namespace]
        if filter.states:
            where.append(among(jobs.c.status, [s.value for s in filter.states]))
        if filter.job_types:
            where.append(among(jobs.c.job_type, filter.job_types))
        if filter.user_ids:
            where.append(among(jobs.c.user_id, filter.user_ids))
        where += self._dialect.label_conditions(jobs.c.labels, filter)
        if filter.created_after is not None:
            where.append(jobs.c.created_at >= filter.created_after)
        if filter.created_before is not None:
            where.append(jobs.c.created_at < filter.created_before)
        if filter.id_suffix:
            where.append(jobs.c.job_id.in_(_ending(jobs.c.job_id, filter.id_suffix)))
        return where

    async def list_prompts(
        self, filter: PromptFilter, limit: int, after: tuple[int, str | None, str] | None, max_bytes: int
    ) -> PromptsPage:
        """A page of prompts by priority, deadline and age."""
        where = self._prompt_conditions(filter)
        deadline = sa.func.coalesce(prompts.c.timeout_at, sa.literal(_FAR, prompts.c.timeout_at.type))
        page = list(where)
        if after is not None:
            rank = sa.tuple_(-prompts.c.priority, deadline, prompts.c.interaction_id)
            at = _FAR if after[1] is None else datetime.fromisoformat(after[1])
            page.append(
                rank
                > sa.tuple_(
                    sa.literal(-after[0], sa.Integer()),
                    sa.literal(at, prompts.c.timeout_at.type),
                    sa.literal(after[2], prompts.c.interaction_id.type),
                )
            )
        order = (prompts.c.priority.desc(), deadline, prompts.c.interaction_id)
        statement = sa.select(prompts).where(*page).order_by(*order)
        cursor = (prompts.c.interaction_id, prompts.c.priority, prompts.c.timeout_at)
        found, last = await self._page(cursor, statement, PROMPT_DOCUMENTS, limit, max_bytes)
        counted = await self._all(sa.select(sa.func.count().label("n")).select_from(prompts).where(*where))
        next = _rank(last) if last else None
        return PromptsPage(tuple(map(rows.to_prompt, found)), next, counted[0]["n"])

    def _prompt_conditions(self, filter: PromptFilter) -> list[sa.ColumnElement[bool]]:
        among = self._dialect.among
        where: list[sa.ColumnElement[bool]] = [prompts.c.namespace == filter.namespace]
        states = [s.value for s in filter.states]
        if states == ["PENDING"]:
            where.append(prompts.c.responded_at.is_(None))
        elif states:
            where.append(among(prompts.c.status, states))
        if filter.unattended:
            where.append(prompts.c.unattended_since.is_not(None))
        if filter.person:
            holds = sa.and_(
                prompts.c.claimed_by == filter.person, prompts.c.claimed_until > self._dialect.now()
            )
            named = self._dialect.has_any(prompts.c.audience, "users", [filter.person])
            where.append(sa.or_(holds, named))
        if filter.overdue:
            # The document contains a step only after an escalation.
            escalated = sa.cast(prompts.c.nudges, sa.Text).contains('"steps":')
            late = sa.or_(escalated, prompts.c.timeout_at <= self._dialect.now())
            where.append(sa.and_(prompts.c.responded_at.is_(None), late))
        if filter.id_suffix:
            column = prompts.c.interaction_id
            where.append(column.in_(_ending(column, filter.id_suffix)))
        if filter.job_id:
            where.append(prompts.c.job_id == filter.job_id)
        if filter.job_id_suffix:
            where.append(prompts.c.job_id.in_(_ending(jobs.c.job_id, filter.job_id_suffix)))
        if filter.job_types:
            where.append(among(prompts.c.job_type, filter.job_types))
        if filter.kinds:
            where.append(among(prompts.c.interaction_type, filter.kinds))
        where += self._dialect.label_conditions(prompts.c.labels, filter)
        if filter.groups:
            where.append(self._dialect.has_any(prompts.c.audience, "groups", filter.groups))
        if filter.viewer is not None:
            where.append(self._dialect.is_seen_by(filter.viewer, prompts.c.audience))
        return where

    async def list_submissions(self, prompt_id: str, limit: int, after: int) -> list[Submission]:
        """Submissions above a seq, oldest first."""
        statement = (
            sa.select(answers)
            .where(answers.c.interaction_id == prompt_id, answers.c.seq > after)
            .order_by(answers.c.seq)
            .limit(limit)
        )
        return [rows.to_submission(r) for r in await self._all(statement)]

    async def list_checkpoints(self, job_id: str, limit: int, after: str) -> list[Checkpoint]:
        """Checkpoints with keys above `after`, by key."""
        statement = (
            sa.select(checkpoints)
            .where(checkpoints.c.job_id == job_id, checkpoints.c.key > after)
            .order_by(checkpoints.c.key)
            .limit(limit)
        )
        return [rows.to_checkpoint(r) for r in await self._all(statement)]

    async def get_understanding(self, job_id: str) -> DeepUnderstanding | None:
        """A job's deep-understanding state."""
        statement = sa.select(understandings).where(understandings.c.job_id == job_id)
        found = await self._all(statement)
        return to_understanding(found[0]) if found else None

    async def list_events(self, job_id: str, after_seq: int, limit: int) -> list[Event]:
        """A job's events above a seq, in order."""
        statement = (
            sa.select(events)
            .where(events.c.job_id == job_id, events.c.seq > after_seq)
            .order_by(events.c.seq)
            .limit(limit)
        )
        return [rows.to_event(r) for r in await self._all(statement)]


def _rank(row: Any) -> tuple[int, str | None, str]:
    at = row["timeout_at"]
    return row["priority"], at.isoformat() if at else None, row["interaction_id"]


def _ending(column: sa.Column[str], suffix: str) -> sa.Select[tuple[str]]:
    """Select the ids, of any namespace, that end with a suffix of at least six characters.

    A subselect: as a plain condition SQLite would use the index on namespace and order instead.
    """
    own = column.table.alias().c[column.name]
    text = sa.cast(own, sa.Text)
    # A literal, as in the index, not a parameter: the plan is made once for all values and must match the
    # index.
    last = sa.func.substr(text, sa.literal_column(str(HANDLE_AT)))
    found = sa.select(own).where(last == suffix[-6:])
    return found if len(suffix) == 6 else found.where(sa.func.substr(text, 37 - len(suffix)) == suffix)
