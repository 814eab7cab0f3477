"""Read jobs with their prompts, answers, checkpoints and events, without locks and transactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from askback_server.domain.commands import PromptRef
from askback_server.domain.events import Event
from askback_server.domain.jobs import Checkpoint, DeepUnderstanding, Job
from askback_server.domain.prompts import Prompt, Submission
from askback_server.ports.queries import JobFilter, JobsPage
from askback_server.storage import rows
from askback_server.storage.dialect import give_labels
from askback_server.storage.paging import Documents, size_of
from askback_server.storage.prompt_conditions import ending, give_suffix
from askback_server.storage.prompt_lists import PROMPT_DOCUMENTS, PromptLists
from askback_server.storage.reader import MOST, named
from askback_server.storage.tables import (
    answers,
    checkpoints,
    events,
    jobs,
    prompts,
    understandings,
)
from askback_server.storage.understanding_rows import to_understanding

JOB_DOCUMENTS: Documents = (jobs.c.input, jobs.c.result, jobs.c.error)
"""The columns that make up the size of a row."""


_PROMPT = sa.select(prompts).where(prompts.c.interaction_id == named("id", prompts.c.interaction_id))
_PROMPT_OF_JOB = sa.select(prompts).where(
    prompts.c.job_id == named("job_id", prompts.c.job_id), prompts.c.key == named("key", prompts.c.key)
)
_UNDERSTANDING = sa.select(understandings).where(
    understandings.c.job_id == named("job_id", understandings.c.job_id)
)


def _of_owner(owner: sa.Column[str], place: sa.Column[Any]) -> sa.Select[Any]:
    """The `most` first rows of an `owner` whose place is behind `after`, by their place."""
    return (
        sa.select(owner.table)
        .where(owner == named("owner", owner), place > named("after", place))
        .order_by(place)
        .limit(MOST)
    )


_SUBMISSIONS = _of_owner(answers.c.interaction_id, answers.c.seq)
_CHECKPOINTS = _of_owner(checkpoints.c.job_id, checkpoints.c.key)
_EVENTS = _of_owner(events.c.job_id, events.c.seq)


class JobReads(PromptLists):
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
            found = await self._look_up(_PROMPT, id=ref.prompt_id)
        else:
            found = await self._look_up(_PROMPT_OF_JOB, job_id=ref.job_id, key=ref.key)
        return rows.to_prompt(found[0]) if found else None

    async def list_jobs(self, filter: JobFilter, limit: int, after: str | None, max_bytes: int) -> JobsPage:
        """A page of jobs, newest first. Ids are ordered by time, so the id is the cursor."""
        where = self._job_conditions(filter)
        if after:
            where.append(jobs.c.job_id < after)
        size = size_of(type(self._dialect), JOB_DOCUMENTS)
        newest = sa.select(jobs.c.job_id, size).where(*where).order_by(jobs.c.job_id.desc())
        spans = [lambda count: self._all(newest.limit(count))]
        ids, last = await self._page_ids("job_id", spans, limit, max_bytes)
        found = {job.job_id: job for job in await self.get_jobs(ids) if filter.lists(job)}
        return JobsPage(tuple(found[i] for i in ids if i in found), last["job_id"] if last else None)

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
        each = {name: (value,) for name, value in filter.labels.items()}
        for labels in (each, filter.any_labels):
            if labels:
                asked = sa.literal(give_labels(labels), jobs.c.labels.type)
                where.append(self._dialect.has_labels(jobs.c.labels, asked))
        if filter.created_after is not None:
            where.append(jobs.c.created_at >= filter.created_after)
        if filter.created_before is not None:
            where.append(jobs.c.created_at < filter.created_before)
        if filter.id_suffix:
            where.append(jobs.c.job_id.in_(ending(jobs.c.job_id, "id", give_suffix("id", filter.id_suffix))))
        return where

    async def list_submissions(self, prompt_id: str, limit: int, after: int) -> list[Submission]:
        """Submissions above a seq, oldest first."""
        found = await self._list(_SUBMISSIONS, {"owner": prompt_id, "after": after, "most": limit})
        return [rows.to_submission(r) for r in found]

    async def list_checkpoints(self, job_id: str, limit: int, after: str) -> list[Checkpoint]:
        """Checkpoints with keys above `after`, by key."""
        found = await self._list(_CHECKPOINTS, {"owner": job_id, "after": after, "most": limit})
        return [rows.to_checkpoint(r) for r in found]

    async def get_understanding(self, job_id: str) -> DeepUnderstanding | None:
        """A job's deep-understanding state."""
        found = await self._look_up(_UNDERSTANDING, job_id=job_id)
        return to_understanding(found[0]) if found else None

    async def list_events(self, job_id: str, after_seq: int, limit: int) -> list[Event]:
        """A job's events above a seq, in order."""
        found = await self._list(_EVENTS, {"owner": job_id, "after": after_seq, "most": limit})
        return [rows.to_event(r) for r in found]
