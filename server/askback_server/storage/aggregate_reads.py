"""Read jobs with what a batch of commands needs of them, and jobs and prompts by id.

The engine and the feed run these statements all the time: each is built once for each kind of database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
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
from askback_server.storage.tables import answers, jobs, prompts, understandings
from askback_server.storage.understanding_rows import to_understanding

Statement = sa.Select[Any] | sa.CompoundSelect[Any]

_DOCUMENTS = frozenset({jobs.c.input, jobs.c.result, jobs.c.error, jobs.c.progress})
HEAD = tuple(sa.null().label(c.name) if c in _DOCUMENTS else c for c in jobs.c)
"""The columns of a job's head: `to_job` makes a job without documents of it."""


class AggregateReads(Carrying):
    """The part of the JobStore that reads by id: one statement for any number of jobs."""

    async def load(self, wanted: Sequence[Wanted], read: Mapping[str, Job] | None = None) -> list[Aggregate]:
        """The aggregates, in the order of `wanted`; an empty aggregate for a job that does not exist. Jobs in
        `read`, by id, were read just before.

        Jobs are read before their children: if another write commits in between, the aggregate has the older
        version, so a decision on it loses its guard and is made again. Prompts and submissions are read by
        one statement: a client that repeats an accepted answer must not see its prompt as open.
        """
        heads = [w.job_id for w in wanted if w.is_head]
        if heads:
            statement = _by_id(type(self._dialect)).heads
            found = {row["job_id"]: rows.to_job(row) for row in await self._all(statement, ids=heads)}
            whole = iter(await self.load([w for w in wanted if not w.is_head], read))
            return [Aggregate(found.get(w.job_id)) if w.is_head else next(whole) for w in wanted]
        by_id = await self._jobs_wanted(wanted, read or {})
        ids = [job.job_id for job in by_id.values()]
        if not ids:
            return [Aggregate() for _ in wanted]
        by_job: dict[str, dict[str, Prompt]] = {}
        submissions: dict[tuple[str, str], Submission] = {}
        pairs = {pair for w in wanted for pair in w.submissions}
        for row in await self._prompts_of(wanted, ids, pairs):
            # One row for each submission of a prompt.
            theirs = by_job.setdefault(row["job_id"], {})
            if row["interaction_id"] not in theirs:
                theirs[row["interaction_id"]] = rows.to_prompt(row)
            if pairs and (row["interaction_id"], row["answer_answer_id"]) in pairs:
                answer = {name: row[f"answer_{name}"] for name in answers.c.keys()}  # noqa: SIM118
                submissions[row["interaction_id"], row["answer_answer_id"]] = rows.to_submission(answer)
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

    async def _prompts_of(
        self, wanted: Sequence[Wanted], job_ids: Sequence[str], answered: Collection[tuple[str, str]]
    ) -> Sequence[Any]:
        arrays: dict[str, Sequence[str]] = {"job_ids": job_ids}
        arrays |= {"prompt_ids": ids} if (ids := [i for w in wanted for i in w.prompt_ids]) else {}
        arrays |= {"keys": keys} if (keys := [k for w in wanted for k in w.keys]) else {}
        arrays |= {"answer_ids": [answer_id for _, answer_id in answered]} if answered else {}
        first = any(w.request for w in wanted)
        statement = prompts_wanted(type(self._dialect), frozenset(arrays), first)
        return await self._all(statement, **arrays)

    async def _jobs_wanted(self, wanted: Sequence[Wanted], read: Mapping[str, Job]) -> dict[Any, Job]:
        ids = [w.job_id for w in wanted if w.job_id]
        requests = [w.request for w in wanted if w.request]
        if not ids and not requests:
            return {}
        found: dict[Any, Job] = {job_id: read[job_id] for job_id in ids if job_id in read}
        found |= {job.job_id: job for job in await self.get_jobs(i for i in ids if i not in read)}
        if requests:
            among, asked = self._dialect.among, set(requests)
            namespaces, names = sorted({r[0] for r in requests}), [r[1] for r in requests]
            # This selects more than the requested pairs; the rest is dropped below.
            where = among(jobs.c.namespace, namespaces), among(jobs.c.request_id, names)
            for job in map(rows.to_job, await self._all(sa.select(jobs).where(*where))):
                if (job.namespace, job.request_id) in asked:
                    found[job.namespace, job.request_id] = job
        return found

    async def _understandings_of(self, found: Iterable[Job]) -> dict[str, DeepUnderstanding]:
        ids = [job.job_id for job in found if job.understanding_version]
        if not ids:
            return {}
        statement = sa.select(understandings).where(self._dialect.among(understandings.c.job_id, ids))
        return {row["job_id"]: to_understanding(row) for row in await self._all(statement)}

    async def get_jobs(self, job_ids: Iterable[str]) -> list[Job]:
        """The jobs with these ids that exist, in no particular order."""
        ids = list(job_ids)
        if not ids:
            return []
        return [rows.to_job(r) for r in await self._all(_by_id(type(self._dialect)).jobs, ids=ids)]

    async def get_prompts(self, prompt_ids: Iterable[str]) -> list[Prompt]:
        """The prompts with these ids that exist, in no particular order."""
        ids = list(prompt_ids)
        if not ids:
            return []
        return [rows.to_prompt(r) for r in await self._all(_by_id(type(self._dialect)).prompts, ids=ids)]

    async def jobs_of(self, prompt_ids: Sequence[str]) -> dict[str, Job]:
        """The jobs of the prompts that exist, by prompt id."""
        found = await self._all(_by_id(type(self._dialect)).jobs_of_prompts, ids=prompt_ids)
        return {row["interaction_id"]: rows.to_job(row) for row in found}


class _ById(NamedTuple):
    """The statements for rows by id."""

    jobs: sa.Select[Any]
    heads: sa.Select[Any]
    """Jobs without their documents."""
    prompts: sa.Select[Any]
    jobs_of_prompts: sa.Select[Any]


@cache
def _by_id(dialect: type[Dialect]) -> _ById:
    among, p = dialect.among_array, prompts.c
    of_jobs, of_prompts = among(jobs.c.job_id, "ids"), among(p.interaction_id, "ids")
    theirs = prompts.join(jobs, jobs.c.job_id == p.job_id)
    return _ById(
        jobs=sa.select(jobs).where(of_jobs),
        heads=sa.select(*HEAD).where(of_jobs),
        prompts=sa.select(prompts).where(of_prompts),
        jobs_of_prompts=sa.select(p.interaction_id, *jobs.c).select_from(theirs).where(of_prompts),
    )


@cache
def prompts_wanted(dialect: type[Dialect], given: frozenset[str], first: bool) -> Statement:
    """The open prompts of the jobs, and closed ones by id, by key, or of the first round of a request. Each
    with its answers by id. `given` names the arrays that the statement takes.

    A union, because no index serves an OR: SQLite would read every prompt that a job ever had.
    """
    among, p = dialect.among_array, prompts.c
    is_open = p.responded_at.is_(None)
    parts = [sa.select(prompts).where(among(p.job_id, "job_ids"), is_open)]
    closed = sa.select(prompts).where(sa.not_(is_open))
    if "prompt_ids" in given:
        parts.append(closed.where(among(p.interaction_id, "prompt_ids")))
    if "keys" in given:
        parts.append(closed.where(among(p.job_id, "job_ids"), among(p.key, "keys")))
    if first:
        parts.append(closed.where(among(p.job_id, "job_ids"), p.round_number == sa.literal_column("1")))
    made: Statement = sa.union_all(*parts) if len(parts) > 1 else parts[0]
    if "answer_ids" in given:
        one = made.subquery()
        theirs = answers.c.interaction_id == one.c.interaction_id
        joined = one.outerjoin(answers, sa.and_(theirs, among(answers.c.answer_id, "answer_ids")))
        columns = (column.label(f"answer_{column.name}") for column in answers.c)
        made = sa.select(*one.c, *columns).select_from(joined)
    return made
