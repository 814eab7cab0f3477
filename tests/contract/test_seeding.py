"""The bulk copies of the bench equal what the engine writes."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from askback_server.domain.jobs import JobState
from askback_server.storage import tables
from askback_server.storage.database import Database
from tests.bench import seeding
from tests.bench.seeding import UnequalCopy, Write, seed
from tests.support.storage import check_rows, execute, fetch, node

COUNT = 40


@pytest.mark.parametrize(
    ("write", "state"),
    [
        (seeding.write_waiting, JobState.PENDING_HITL),
        (seeding.write_finished, JobState.COMPLETED),
        (seeding.write_queued, JobState.PENDING),
        (seeding.write_timed, JobState.PENDING_HITL),
    ],
    ids=["waiting", "finished", "queued", "timed"],
)
async def test_copies_are_whole_jobs_in_the_order_of_their_times(
    migrated_db_url: str, write: Write, state: JobState
) -> None:
    await seed(migrated_db_url, write, COUNT)
    database = await Database.open(migrated_db_url)
    try:
        found = await fetch(database, sa.select(tables.jobs).order_by(tables.jobs.c.created_at))
        assert len(found) == COUNT
        assert {row["status"] for row in found} == {state.value}
        copies = [row["job_id"] for row in found[:-2]]
        assert [i[:13] for i in copies] == sorted(i[:13] for i in copies)
        for job_id in (copies[0], copies[-1]):
            await check_rows(database, job_id)
    finally:
        await database.close()


async def test_a_copy_that_differs_in_one_value_is_refused(migrated_db_url: str) -> None:
    async with node(migrated_db_url) as replica:
        one, other = [await seeding.write_finished(replica) for _ in range(2)]

        async def compare() -> None:
            await replica.database._dialect.run(lambda c: seeding.compare(c, one, other))

        await compare()
        prompts = sa.update(tables.prompts).where(tables.prompts.c.job_id == one)
        await execute(replica.database, prompts.values(priority=7))
        with pytest.raises(UnequalCopy, match="priority: 7 instead of 0"):
            await compare()
        await execute(replica.database, prompts.values(priority=0))
        events = sa.delete(tables.events).where(tables.events.c.job_id == one, tables.events.c.seq == 2)
        await execute(replica.database, events)
        with pytest.raises(UnequalCopy, match=r"job_events: .* rows instead of"):
            await compare()
