"""Read jobs with what a batch of commands needs of them, and jobs and prompts by id.

The engine, the feed and workers that reconnect run these statements all the time: each is built once for each
kind of database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from askback_server.domain.aggregate import Aggregate
from askback_server.domain.jobs import DeepUnderstanding, Job
from askback_server.domain.prompts import Prompt, Submission
from askback_server.ports.storage import Wanted
from askback_server.storage import rows
from askback_server.storage.carrying import Carrying
from askback_server.storage.dialect import Dialect
from askback_server.storage.rounds import Rounds
from askback_server.storage.tables import answers, jobs, prompts, understandings
from askback_server.storage.understanding_rows import to_understanding

Statement = sa.Select[Any] | sa.CompoundSelect[Any]

_DOCUMENTS = frozenset({jobs.c.input, jobs.c.result, jobs.c.error, jobs.c.progress})
HEAD = tuple(sa.null().label(c.name) if c in _DOCUMENTS else c for c in jobs.c)
"""The columns of a job's head: `to_job` makes a job without documents of it."""
WORKERS = 64
"""Workers whose jobs are read by one statement."""


class AggregateReads(Carrying):
    """The part of the JobStore that reads by id: one statement for any number of jobs."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._held = Rounds(self._list_all_held, WORKERS)
        self._unconfirmed = Rounds(self._list_all_unconfirmed, WORKERS)

    async def load(self, wanted: Sequence[Wanted]) -> list[Aggregate]:
        """The aggregates, in the order of `wanted`; an empty aggregate for a job that does not exist.

        Jobs, prompts and submissions are read by one statement, so as of one moment: a decision on a job with
        prompts of another version would pass the guard, and a client that repeats an accepted answer must not
        see its prompt as open.
        """
        heads = [w.job_id for w in wanted if w.is_head]
        if heads:
            statement = _by_id(type(self._dialect)).heads
            by_id = {row["job_id"]: rows.to_job(row) for row in await self._look_up(statement, ids=heads)}
            whole = iter(await self.load([w for w in wanted if not w.is_head]))
            return [Aggregate(by_id.get(w.job_id)) if w.is_head else next(whole) for w in wanted]
        requested = await self._requested([w.request for w in wanted if w.request])
        job_ids = [w.job_id or requested.get(w.request, "") for w in wanted]
        if not any(job_ids):
            return [Aggregate() for _ in wanted]
        pairs = {pair for w in wanted for pair in w.submissions}
        found = await self._parts_of(wanted, [i for i in job_ids if i], pairs)
        jobs_by_id, by_job = _sort(found)
        submissions: dict[tuple[str, str], Submission] = {}
        for row in found if pairs else ():
            if (row["interaction_id"], row["answer_answer_id"]) in pairs:
                answer = {name: row[f"answer_{name}"] for name in answers.c.keys()}  # noqa: SIM118
                submissions[row["interaction_id"], row["answer_answer_id"]] = rows.to_submission(answer)
        understandings = await self._understandings_of(jobs_by_id.values())
        carried = await self._carried_of(jobs_by_id.values(), wanted)
        result = []
        for job_id in job_ids:
            job = jobs_by_id.get(job_id)
            if job is None:
                result.append(Aggregate())
                continue
            mine = {k: s for k, s in submissions.items() if s.job_id == job_id}
            before = carried.get(job_id, {})
            result.append(Aggregate(job, by_job.get(job_id, {}), mine, understandings.get(job_id), before))
        return result

    async def _parts_of(
        self, wanted: Sequence[Wanted], job_ids: Sequence[str], answered: Collection[tuple[str, str]]
    ) -> Sequence[Any]:
        arrays: dict[str, Sequence[str]] = {"job_ids": job_ids}
        arrays |= {"prompt_ids": ids} if (ids := [i for w in wanted for i in w.prompt_ids]) else {}
        arrays |= {"keys": keys} if (keys := [k for w in wanted for k in w.keys]) else {}
        arrays |= {"answer_ids": [answer_id for _, answer_id in answered]} if answered else {}
        first = any(w.request for w in wanted)
        return await self._look_up(parts_wanted(type(self._dialect), frozenset(arrays), first), **arrays)

    async def _requested(self, requests: Collection[tuple[str, str]]) -> dict[Any, str]:
        """The ids of the jobs with these request ids, by namespace and request id."""
        if not requests:
            return {}
        asked = set(requests)
        namespaces, names = sorted({r[0] for r in requests}), [r[1] for r in requests]
        statement = _requested(type(self._dialect))
        found = await self._look_up(statement, namespaces=namespaces, names=names)
        by_request = {(row["namespace"], row["request_id"]): row["job_id"] for row in found}
        return {request: job_id for request, job_id in by_request.items() if request in asked}

    async def _understandings_of(self, found: Iterable[Job]) -> dict[str, DeepUnderstanding]:
        ids = [job.job_id for job in found if job.understanding_version]
        if not ids:
            return {}
        stored = await self._look_up(_by_id(type(self._dialect)).understandings, ids=ids)
        return {row["job_id"]: to_understanding(row) for row in stored}

    async def get_jobs(self, job_ids: Iterable[str]) -> list[Job]:
        """The jobs with these ids that exist, in no particular order."""
        ids = list(job_ids)
        if not ids:
            return []
        return [rows.to_job(r) for r in await self._look_up(_by_id(type(self._dialect)).jobs, ids=ids)]

    async def get_prompts(self, prompt_ids: Iterable[str]) -> list[Prompt]:
        """The prompts with these ids that exist, in no particular order."""
        ids = list(prompt_ids)
        if not ids:
            return []
        return [rows.to_prompt(r) for r in await self._look_up(_by_id(type(self._dialect)).prompts, ids=ids)]

    async def list_held(self, session_id: str) -> list[Job]:
        """See JobStore. One statement for the workers that ask at the same time."""
        return await self._held.call(session_id)

    async def _list_all_held(self, session_ids: Sequence[str]) -> list[list[Job]]:
        found: dict[str | None, list[Job]] = {session_id: [] for session_id in session_ids}
        for row in await self._look_up(_by_id(type(self._dialect)).held, ids=session_ids):
            job = rows.to_job(row)
            found[job.session_id].append(job)
        return [found[session_id] for session_id in session_ids]

    async def list_unconfirmed(self, job_ids: Sequence[str]) -> list[Prompt]:
        """See JobStore. One statement for the workers that ask at the same time."""
        return await self._unconfirmed.call(job_ids) if job_ids else []

    async def _list_all_unconfirmed(self, wanted: Sequence[Sequence[str]]) -> list[list[Prompt]]:
        statement, ids = _by_id(type(self._dialect)).unconfirmed, [i for job_ids in wanted for i in job_ids]
        by_job: dict[str, list[Prompt]] = {}
        for row in await self._look_up(statement, ids=ids):
            by_job.setdefault(row["job_id"], []).append(rows.to_prompt(row))
        return [[p for job_id in job_ids for p in by_job.get(job_id, ())] for job_ids in wanted]

    async def get_jobs_and_prompts(
        self, job_ids: Sequence[str], prompt_ids: Sequence[str]
    ) -> tuple[list[Job], list[Prompt]]:
        """See JobStore. One statement."""
        if not job_ids:
            return [], await self.get_prompts(prompt_ids)
        if not prompt_ids:
            return await self.get_jobs(job_ids), []
        statement = _by_id(type(self._dialect)).jobs_and_prompts
        found = await self._look_up(statement, job_ids=job_ids, prompt_ids=prompt_ids)
        jobs_by_id, by_job = _sort(found)
        return [*jobs_by_id.values()], [p for theirs in by_job.values() for p in theirs.values()]

    async def load_by_prompts(self, prompt_ids: Sequence[str]) -> list[Aggregate]:
        """See JobStore. One statement."""
        statement = parts_wanted(type(self._dialect), frozenset({"prompt_ids"}), False)
        jobs_by_id, by_job = _sort(await self._look_up(statement, prompt_ids=prompt_ids))
        return [Aggregate(job, by_job.get(job_id, {})) for job_id, job in jobs_by_id.items()]


def _sort(found: Sequence[Any]) -> tuple[dict[str, Job], dict[str, dict[str, Prompt]]]:
    """The jobs of padded rows by id, and the prompts by job and id. A prompt may have several rows."""
    jobs_by_id: dict[str, Job] = {}
    by_job: dict[str, dict[str, Prompt]] = {}
    for row in found:
        job_id, prompt_id = row["job_id"], row["interaction_id"]
        if prompt_id is None:
            jobs_by_id[job_id] = rows.to_job(row)
        elif prompt_id not in (theirs := by_job.setdefault(job_id, {})):
            theirs[prompt_id] = rows.to_prompt(row)
    return jobs_by_id, by_job


class _ById(NamedTuple):
    """The statements for rows by id."""

    jobs: sa.Select[Any]
    heads: sa.Select[Any]
    """Jobs without their documents."""
    held: sa.Select[Any]
    """The same, by session."""
    prompts: sa.Select[Any]
    unconfirmed: sa.Select[Any]
    """Closed prompts that their worker has not acknowledged, by job."""
    jobs_and_prompts: sa.CompoundSelect[Any]
    understandings: sa.Select[Any]
    """By job."""


@cache
def _by_id(dialect: type[Dialect]) -> _ById:
    among, j, p = dialect.among_array, jobs.c.job_id, prompts.c.interaction_id
    is_unconfirmed = prompts.c.responded_at.is_not(None), prompts.c.consumed_at.is_(None)
    both = _padded(jobs).where(among(j, "job_ids")), _padded(prompts).where(among(p, "prompt_ids"))
    return _ById(
        jobs=sa.select(jobs).where(among(j, "ids")),
        heads=sa.select(*HEAD).where(among(j, "ids")),
        held=sa.select(*HEAD).where(among(jobs.c.session_id, "ids")),
        prompts=sa.select(prompts).where(among(p, "ids")),
        unconfirmed=sa.select(prompts).where(among(prompts.c.job_id, "ids"), *is_unconfirmed),
        jobs_and_prompts=sa.union_all(*both),
        understandings=sa.select(understandings).where(among(understandings.c.job_id, "ids")),
    )


@cache
def _requested(dialect: type[Dialect]) -> sa.Select[Any]:
    """Jobs of some namespaces by request ids: more than the pairs that were asked for."""
    c, among = jobs.c, dialect.among_array
    where = among(c.namespace, "namespaces"), among(c.request_id, "names")
    return sa.select(c.namespace, c.request_id, c.job_id).where(*where)


_COLUMNS = {c.name: c for c in (*jobs.c, *prompts.c)}
"""The columns of jobs and prompts. Those of one name have one type."""


def _padded(table: sa.Table) -> sa.Select[Any]:
    """The rows of jobs, or of prompts, with the columns of both: the others are NULL."""
    mine = table.c
    return sa.select(
        *(mine[n] if n in mine else sa.cast(sa.null(), c.type).label(n) for n, c in _COLUMNS.items())
    )


@cache
def parts_wanted(dialect: type[Dialect], given: frozenset[str], first: bool) -> Statement:
    """Jobs with their open prompts, and closed ones by id, by key, or of the first round of a request. Each
    prompt with its answers by id. `given` names the arrays that the statement takes; without `job_ids` it
    reads the jobs of the prompts.

    A union, because no index serves an OR: SQLite would read every prompt that a job ever had.
    """
    among, p = dialect.among_array, prompts.c

    def is_theirs(job_id: sa.Column[str]) -> sa.ColumnElement[bool]:
        if "job_ids" in given:
            return among(job_id, "job_ids")
        named = prompts.alias("named").c
        theirs = sa.select(named.job_id).where(among(named.interaction_id, "prompt_ids"))
        return dialect.among_few(job_id, theirs)

    is_open = p.responded_at.is_(None)
    parts = [
        _padded(jobs).where(is_theirs(jobs.c.job_id)),
        _padded(prompts).where(is_theirs(p.job_id), is_open),
    ]
    closed = _padded(prompts).where(sa.not_(is_open))
    if "prompt_ids" in given:
        parts.append(closed.where(among(p.interaction_id, "prompt_ids")))
    if "keys" in given:
        parts.append(closed.where(is_theirs(p.job_id), among(p.key, "keys")))
    if first:
        parts.append(closed.where(is_theirs(p.job_id), p.round_number == sa.literal_column("1")))
    made: Statement = sa.union_all(*parts)
    if "answer_ids" in given:
        one = made.subquery()
        theirs = answers.c.interaction_id == one.c.interaction_id
        joined = one.outerjoin(answers, sa.and_(theirs, among(answers.c.answer_id, "answer_ids")))
        columns = (column.label(f"answer_{column.name}") for column in answers.c)
        made = sa.select(*one.c, *columns).select_from(joined)
    return made
