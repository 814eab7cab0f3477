"""What the guards of writes see of the end of a retention, by the clock of the database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from askback_server.domain import commands as c
from askback_server.domain.aggregate import Guard
from askback_server.domain.errors import Contention, JobNotFound
from askback_server.domain.retries import Keep
from askback_server.domain.retry_rules import plan_retry, repeat_job
from askback_server.ports.storage import JobWrite, Lost
from askback_server.storage import tables
from tests.support.aggregates import CLIENT
from tests.support.purging import count_rows, deletions, due_jobs, large_job
from tests.support.rows import now
from tests.support.storage import Node, counts, execute, get_job


async def test_a_retry_copies_only_before_the_end_of_the_retention(here: Node) -> None:
    """By the database's clock: a replica whose clock is behind decides that it may, and the write fails."""
    job, prompts = await large_job(here, 3)
    kept = await here.database.jobs.list_kept_answers(job.job_id)
    plan = replace(plan_retry(job, Keep.ALL), answers=tuple(kept), purge_at=None)
    assert len(plan.answers) == len(prompts)
    with pytest.raises(Contention):
        await here.do(repeat_job(job, plan, CLIENT, "r"))
    assert (await count_rows(here))[0] == 1
    later = sa.update(tables.jobs).values(purge_at=now() + timedelta(hours=1))
    await execute(here.database, later)
    assert (await here.do(repeat_job(job, plan, CLIENT, "r"))).job.carried_answers == 3


async def test_the_retention_is_changed_only_before_its_end(here: Node) -> None:
    """A replica whose clock is behind learns the database's time from the failed guard."""
    job = (await due_jobs(here, 1))[0]
    here.clock.observe(await here.database.ping() - timedelta(days=3))
    with pytest.raises(JobNotFound):
        await here.do(
            c.UpdateJob(principal=CLIENT, job_id=job.job_id, values={"retention": timedelta(days=90)})
        )
    assert (await get_job(here.database, job.job_id)).purge_at == job.purge_at


async def test_nothing_of_a_job_is_deleted_if_its_guard_fails(here: Node) -> None:
    """Neither before its time nor at another version; others of the same write go."""
    at = await here.database.ping()
    early, due, changed = await due_jobs(here, 3)
    before = await counts(here.database, early.job_id)
    asked = ((early, 1, at + timedelta(hours=1)), (due, 1, at), (changed, 7, at))
    written = await here.database.jobs.write(
        [
            JobWrite(job, version, Guard(not_before=time), deleted=True, in_steps=True)
            for job, version, time in asked
        ]
    )
    assert written.lost == {early.job_id: Lost.TIME, changed.job_id: Lost.VERSION}
    assert await counts(here.database, due.job_id) == (0, 0, 0, 0, 1)
    for job in (early, changed):
        assert await counts(here.database, job.job_id) == before
        assert await get_job(here.database, job.job_id) == job


async def test_a_head_that_is_out_of_date_is_read_again(here: Node, there: Node) -> None:
    """And not kept in memory, where readers would miss what it leaves out."""
    [job] = await due_jobs(here, 1, input_json='{"n":1}')
    [head] = await here.database.queue.list_expired(10, None)
    assert head == replace(job, input_json="")
    kept = sa.update(tables.jobs).values(purge_at=now() + timedelta(days=1), version=2)
    await execute(here.database, kept)
    await here.do(c.PurgeJob(job_id=job.job_id, head=head))
    assert (await here.queries.job(job.job_id, CLIENT)).input_json == '{"n":1}'
    await execute(here.database, sa.update(tables.jobs).values(purge_at=job.purge_at))
    here.hot.drop(job.job_id)
    await here.do(c.PurgeJob(job_id=job.job_id, head=head))
    assert await deletions(here) == [job.job_id]
