"""Deleting a large job after its retention: in small steps, whatever happens between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.deletion_rules import DeletionUnfinished
from askback_server.domain.errors import JobNotFound, PromptNotFound
from askback_server.engine.retrying import prepare_retry
from askback_server.metrics.meter import Meter
from askback_server.ports.storage import JobWrite
from askback_server.storage.removal import STEP_BYTES, STEP_ROWS
from tests.support.aggregates import CLIENT, question
from tests.support.purging import count_rows, deletions, due_jobs, large_job, purge_of
from tests.support.storage import DelegatingStore, Node, counts, get_job, node


class WatchedStore(DelegatingStore):
    """A store that counts the rows of a job in the database after each write."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.node: Node | None = None
        self.left: list[list[int]] = []

    async def write(self, batch: Sequence[JobWrite]) -> Any:
        written = await super().write(batch)
        if self.node is not None:
            self.left.append(await count_rows(self.node))
        return written


async def test_a_large_job_is_deleted_in_steps(migrated_db_url: str) -> None:
    """No write deletes more than STEP_ROWS rows of a table, and the job goes with its last rows."""
    meter = Meter()
    async with node(migrated_db_url, wrap=WatchedStore, observer=meter) as here:
        job, _ = await large_job(here)
        small = await due_jobs(here, 3)
        here.store.node = here
        assert await purge_of(here).run() == 4
        left = here.store.left
        assert len(left) >= 3
        for before, after in pairwise(left):
            assert all(0 <= b - a <= STEP_ROWS + len(small) for b, a in zip(before, after, strict=True))
        assert left[-1] == [0] * 5
        assert sorted(await deletions(here)) == sorted(j.job_id for j in (job, *small))
        assert await counts(here.database, job.job_id) == (0, 0, 0, 0, 2)
        assert not meter.guards_lost, "an operator would look for replicas that compete"


async def test_a_job_with_large_prompts_is_deleted_in_steps(migrated_db_url: str) -> None:
    """A step deletes about STEP_BYTES, at least one row."""
    size = STEP_BYTES // 3
    async with node(migrated_db_url, wrap=WatchedStore) as here:
        # Texts that do not compress.
        body = "".join(str(pow(7, n, 1_000_003)) for n in range(size // 6))
        await large_job(here, 20, question(body=body))
        here.store.node = here
        assert await purge_of(here).run() == 1
        prompts = [left[1] for left in here.store.left]
        steps = [a - b for a, b in zip([20, *prompts], prompts, strict=False)]
        assert len(steps) > 2, steps
        assert all(1 <= step <= 7 for step in steps), steps


async def test_a_crash_between_steps_is_continued_by_the_next_run(here: Node, there: Node) -> None:
    job, prompts = await large_job(here)
    with pytest.raises(DeletionUnfinished):
        await here.do(c.PurgeJob(job_id=job.job_id))
    # The replica ends here. The job is stored, without some of its rows.
    assert (await get_job(there.database, job.job_id)).version == job.version
    assert 0 < (await counts(there.database, job.job_id))[0] < len(prompts)
    assert await deletions(there) == []
    assert await purge_of(there).run() == 1
    assert await deletions(there) == [job.job_id]
    assert await count_rows(there) == [0] * 5


async def test_what_uses_a_job_between_two_steps_does_no_harm(here: Node, there: Node) -> None:
    job, prompts = await large_job(here)
    for replica in (here, there):
        assert (await replica.queries.job(job.job_id, CLIENT)).job_id == job.job_id
    with pytest.raises(DeletionUnfinished):
        await here.do(c.PurgeJob(job_id=job.job_id))
    stored = {p.prompt_id for p in await here.database.jobs.get_prompts(p.prompt_id for p in prompts)}
    left = [p for p in prompts if p.prompt_id in stored]
    gone = [p for p in prompts if p.prompt_id not in stored]
    assert len(gone) == STEP_ROWS
    # A late answer, at another replica, is for a prompt that is gone, whether it is stored or not.
    for prompt in (left[0], gone[0]):
        with pytest.raises(PromptNotFound):
            await there.answer(prompt, "late")
    # A later end of the retention, or a copy, could not bring back what is deleted.
    with pytest.raises(JobNotFound):
        await there.do(
            c.UpdateJob(principal=CLIENT, job_id=job.job_id, values={"retention": timedelta(days=90)})
        )
    with pytest.raises(JobNotFound):
        await there.do(await prepare_retry(there.queries, there.database.jobs, CLIENT, job.job_id, "", None))
    # Labels may change, and a client may delete the job.
    await there.do(c.UpdateJob(principal=CLIENT, job_id=job.job_id, values={"labels": {"a": "b"}}))
    await here.catch_up()
    assert await purge_of(here).run() == 1
    assert await count_rows(here) == [0] * 5
    assert await deletions(here) == [job.job_id]
    for _ in range(2):
        await there.do(c.PurgeJob(job_id=job.job_id))
    assert await deletions(here) == [job.job_id]


async def test_a_client_may_delete_a_job_between_two_steps(here: Node, there: Node) -> None:
    job, _ = await large_job(here)
    with pytest.raises(DeletionUnfinished):
        await here.do(c.PurgeJob(job_id=job.job_id))
    await there.do(c.DeleteJob(principal=CLIENT, job_id=job.job_id))
    assert await count_rows(here) == [0] * 5
    assert await purge_of(here).run() == 0
    assert await deletions(here) == [job.job_id]
