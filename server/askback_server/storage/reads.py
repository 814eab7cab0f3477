"""Reading jobs, prompts and what hangs on them. No locks, no transactions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from askback_server.domain.aggregate import Aggregate
from askback_server.domain.commands import PromptRef
from askback_server.domain.events import Event
from askback_server.domain.jobs import Checkpoint, DeepUnderstanding, Job
from askback_server.domain.prompts import Prompt, Submission
from askback_server.ports.queries import JobFilter, JobsPage, PromptFilter, PromptsPage
from askback_server.ports.storage import Wanted
from askback_server.storage import rows
from askback_server.storage.carrying import Carrying
from askback_server.storage.tables import answers, checkpoints, events, jobs, prompts, understandings
from askback_server.storage.understanding_rows import to_understanding

Documents = Sequence[sa.Column[Any]]
JOB_DOCUMENTS: Documents = (jobs.c.input, jobs.c.result, jobs.c.error)
PROMPT_DOCUMENTS: Documents = (prompts.c.prompt_data, prompts.c.response_data)
"""The columns of which a row's size consists."""
_FAR = datetime(9999, 12, 31, tzinfo=UTC)
"""Where prompts without a deadline sort: after all that have one."""


class Reads(Carrying):
    """Set-based reads on the pool."""

    async def load(self, wanted: Sequence[Wanted]) -> list[Aggregate]:
        """The aggregates, in order.

        Jobs are read before their children: if somebody commits in between, the job's version is
        the older one, and a decision on it loses its guard and is made again. Submissions are read
        before prompts: whoever repeats an accepted answer must not be shown its prompt as open.
        """
        by_id = await self._jobs_of(wanted)
        ids = [job.job_id for job in by_id.values()]
        if not ids:
            return [Aggregate() for _ in wanted]
        among = self._dialect.among
        submissions = await self._submissions_of(wanted)
        prompt_ids = [p for w in wanted for p in w.prompt_ids]
        keys = [k for w in wanted for k in w.keys]
        condition: sa.ColumnElement[bool] = prompts.c.responded_at.is_(None)
        if prompt_ids:
            condition = sa.or_(condition, among(prompts.c.interaction_id, prompt_ids))
        if keys:
            condition = sa.or_(condition, among(prompts.c.key, keys))
        if any(w.request for w in wanted):
            condition = sa.or_(condition, prompts.c.round_number == 1)
        found = await self._all(sa.select(prompts).where(among(prompts.c.job_id, ids), condition))
        by_job: dict[str, dict[str, Prompt]] = {}
        for row in found:
            prompt = rows.to_prompt(row)
            by_job.setdefault(prompt.job_id, {})[prompt.prompt_id] = prompt
        understandings = await self._understandings_of(by_id.values())
        carried = await self._carried_of(by_id.values(), wanted)
        result = []
        for w in wanted:
            job = by_id.get(w.job_id or w.request)
            if job is None:
                result.append(Aggregate())
                continue
            theirs = by_job.get(job.job_id, {})
            mine = {k: s for k, s in submissions.items() if s.job_id == job.job_id}
            before = carried.get(job.job_id, {})
            result.append(Aggregate(job, theirs, mine, understandings.get(job.job_id), before))
        return result

    async def _jobs_of(self, wanted: Sequence[Wanted]) -> dict[Any, Job]:
        ids = [w.job_id for w in wanted if w.job_id]
        requests = [w.request for w in wanted if w.request]
        if not ids and not requests:
            return {}
        among, conditions = self._dialect.among, []
        if ids:
            conditions.append(among(jobs.c.job_id, ids))
        if requests:
            namespaces, names = sorted({r[0] for r in requests}), [r[1] for r in requests]
            # More than the pairs: what was not asked for is dropped below.
            conditions.append(sa.and_(among(jobs.c.namespace, namespaces), among(jobs.c.request_id, names)))
        found: dict[Any, Job] = {}
        asked = {*ids, *requests}
        for row in await self._all(sa.select(jobs).where(sa.or_(*conditions))):
            job = rows.to_job(row)
            if job.job_id in asked or (job.namespace, job.request_id) in asked:
                found[job.job_id] = job
                found[job.namespace, job.request_id] = job
        return found

    async def _submissions_of(self, wanted: Sequence[Wanted]) -> dict[tuple[str, str], Submission]:
        pairs = {pair for w in wanted for pair in w.submissions}
        if not pairs:
            return {}
        among = self._dialect.among
        of_prompts = among(answers.c.interaction_id, sorted({p[0] for p in pairs}))
        statement = sa.select(answers).where(of_prompts, among(answers.c.answer_id, [p[1] for p in pairs]))
        found = map(rows.to_submission, await self._all(statement))
        return {key: s for s in found if (key := (s.prompt_id, s.answer.answer_id)) in pairs}

    async def _understandings_of(self, found: Iterable[Job]) -> dict[str, DeepUnderstanding]:
        ids = [job.job_id for job in found if job.understanding_version]
        if not ids:
            return {}
        statement = sa.select(understandings).where(self._dialect.among(understandings.c.job_id, ids))
        return {row["job_id"]: to_understanding(row) for row in await self._all(statement)}

    async def get_jobs(self, job_ids: Iterable[str]) -> list[Job]:
        """Jobs by id, those that exist."""
        ids = list(job_ids)
        if not ids:
            return []
        found = await self._all(sa.select(jobs).where(self._dialect.among(jobs.c.job_id, ids)))
        return [rows.to_job(r) for r in found]

    async def get_prompts(self, prompt_ids: Iterable[str]) -> list[Prompt]:
        """Prompts by id, those that exist."""
        ids = list(prompt_ids)
        if not ids:
            return []
        statement = sa.select(prompts).where(self._dialect.among(prompts.c.interaction_id, ids))
        return [rows.to_prompt(r) for r in await self._all(statement)]

    async def first_jobs(self, job_ids: Sequence[str], max_bytes: int) -> tuple[list[Job], int]:
        """See JobStore."""
        count = await self._fitting_ids(jobs.c.job_id, job_ids, JOB_DOCUMENTS, max_bytes)
        return await self.get_jobs(job_ids[:count]), count

    async def first_prompts(self, prompt_ids: Sequence[str], max_bytes: int) -> tuple[list[Prompt], int]:
        """See JobStore."""
        count = await self._fitting_ids(prompts.c.interaction_id, prompt_ids, PROMPT_DOCUMENTS, max_bytes)
        return await self.get_prompts(prompt_ids[:count]), count

    async def _fitting_ids(
        self, key: sa.Column[Any], ids: Sequence[str], documents: Documents, max_bytes: int
    ) -> int:
        sizes = sa.select(key.label("id"), self._size(documents)).where(self._dialect.among(key, ids))
        by_id = {row["id"]: row for row in await self._all(sizes)}
        nothing = {"size": 0}
        return len(_fitting([by_id.get(i, nothing) for i in ids], max_bytes))

    async def _page(
        self, cursor: Sequence[sa.Column[Any]], statement: sa.Select[Any], documents: Documents, limit: int,
        max_bytes: int,
    ) -> tuple[Sequence[Any], Any]:  # fmt: skip
        """The first rows that a statement selects, with all their columns: at most `limit`, and as many as
        take about `max_bytes`, at least one. If there are more, also what `cursor` says of the last one; its
        first column is the key.

        Their sizes are read first: what does not fit into the page must not come into memory either.
        """
        key = cursor[0]
        sizes = statement.with_only_columns(*cursor, self._size(documents)).limit(limit + 1)
        found = await self._all(sizes)
        kept = _fitting(found[:limit], max_bytes)
        if not kept:
            return (), None
        # With the conditions: what has changed in between may match no more.
        ids = [row[key.name] for row in kept]
        page = await self._all(statement.where(self._dialect.among(key, ids)))
        return page, kept[-1] if len(kept) < len(found) else None

    def _size(self, documents: Documents) -> sa.ColumnElement[int]:
        """How many bytes a row's documents take."""
        sizes = [sa.func.coalesce(self._dialect.octets(column), 0) for column in documents]
        return sum(sizes[1:], sizes[0]).label("size")

    async def find_prompt(self, ref: PromptRef) -> Prompt | None:
        """One prompt, by its id or by job and key."""
        if ref.prompt_id:
            condition = prompts.c.interaction_id == ref.prompt_id
        else:
            condition = sa.and_(prompts.c.job_id == ref.job_id, prompts.c.key == ref.key)
        found = await self._all(sa.select(prompts).where(condition))
        return rows.to_prompt(found[0]) if found else None

    async def list_jobs(self, filter: JobFilter, limit: int, after: str | None, max_bytes: int) -> JobsPage:
        """A page of jobs, newest first: ids are time-ordered, so the id is the cursor."""
        among = self._dialect.among
        where = [jobs.c.namespace == filter.namespace]
        if filter.states:
            where.append(among(jobs.c.status, [s.value for s in filter.states]))
        if filter.job_types:
            where.append(among(jobs.c.job_type, filter.job_types))
        if filter.user_ids:
            where.append(among(jobs.c.user_id, filter.user_ids))
        if filter.labels:
            where.append(self._dialect.has_labels(jobs.c.labels, filter.labels))
        if filter.created_after is not None:
            where.append(jobs.c.created_at >= filter.created_after)
        if filter.created_before is not None:
            where.append(jobs.c.created_at < filter.created_before)
        if after:
            where.append(jobs.c.job_id < after)
        statement = sa.select(jobs).where(*where).order_by(jobs.c.job_id.desc())
        found, last = await self._page([jobs.c.job_id], statement, JOB_DOCUMENTS, limit, max_bytes)
        return JobsPage(tuple(map(rows.to_job, found)), last["job_id"] if last else None)

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
        if filter.job_id:
            where.append(prompts.c.job_id == filter.job_id)
        if filter.job_types:
            where.append(among(prompts.c.job_type, filter.job_types))
        if filter.kinds:
            where.append(among(prompts.c.interaction_type, filter.kinds))
        if filter.labels:
            where.append(self._dialect.has_labels(prompts.c.labels, filter.labels))
        if filter.groups:
            where.append(self._dialect.has_any(prompts.c.audience, "groups", filter.groups))
        viewer = filter.viewer
        if viewer is not None and not viewer.is_admin:
            mine = [
                prompts.c.audience.is_(None),
                self._dialect.has_any(prompts.c.audience, "users", [viewer.subject]),
            ]
            if viewer.groups:
                mine.append(self._dialect.has_any(prompts.c.audience, "groups", sorted(viewer.groups)))
            where.append(sa.or_(*mine))
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


def _fitting(found: Sequence[Any], max_bytes: int) -> Sequence[Any]:
    """As many rows, from the first, as take about `max_bytes` by their `size`; at least one."""
    for count, row in enumerate(found):
        max_bytes -= 500 + row["size"]
        if count and max_bytes < 0:
            return found[:count]
    return found


def _rank(row: Any) -> tuple[int, str | None, str]:
    at = row["timeout_at"]
    return row["priority"], at.isoformat() if at else None, row["interaction_id"]
