"""The census: counts of prompts, jobs and sessions for the metrics."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from askback_server.domain.jobs import JobState
from askback_server.domain.overview import AGES
from askback_server.ports.storage import Position
from askback_server.storage.database import Database
from tests.support.aggregates import question
from tests.support.rows import as_closed, creation, new_job, new_prompt, step
from tests.support.storage import LONG, Node
from tests.support.streams import ABSENT_ID

ALL = 1_000


async def put(database: Database, *writes: object) -> None:
    assert not (await database.jobs.write(writes)).lost  # type: ignore[arg-type]


async def test_an_empty_database_has_a_census_of_zeros(database: Database) -> None:
    found = await database.census.take(ALL)
    assert (found.prompts, found.runnable, dict(found.held), found.sessions) == ((), (), {}, 0)
    assert not found.partial


async def test_open_prompts_are_counted_by_kind_and_age(database: Database) -> None:
    at = await database.ping()
    job = new_job()
    ages = {"clarify": [1, 90, 100, 4_000, 700_000], "confirm": [30]}
    prompts = [
        new_prompt(job, question(kind=kind), created_at=at - timedelta(seconds=age), round=n)
        for kind, some in ages.items()
        for n, age in enumerate(some)
    ]
    ended = new_prompt(job, question(kind="clarify"))
    await put(database, creation(job, *prompts, ended))
    write = step(job)
    write.changed_prompts[ended.prompt_id] = (as_closed(ended), False)
    await put(database, write)
    missed = step(write.job)
    for prompt in prompts[:2]:
        missed.changed_prompts[prompt.prompt_id] = (replace(prompt, unattended_since=at), False)
    await put(database, missed)
    found = {of.kind: of for of in (await database.census.take(ALL)).prompts}
    assert set(found) == set(ages)
    assert AGES == (60, 300, 3_600, 86_400, 604_800)
    assert found["clarify"].by_age == (1, 2, 0, 1, 0, 1)
    assert found["confirm"].by_age == (1, 0, 0, 0, 0, 0)
    assert (found["clarify"].unattended, found["confirm"].unattended) == (2, 0)
    assert 700_000 <= found["clarify"].oldest < 700_060
    assert 30 <= found["confirm"].oldest < 90


async def test_runnable_and_held_jobs_are_counted_by_type(database: Database, here: Node) -> None:
    at = await database.ping()
    ready = [
        new_job(ready_at=at - timedelta(seconds=age), job_type=t)
        for t, age in (("a", 5), ("a", 70), ("b", 1))
    ]
    later = new_job(ready_at=at + LONG, job_type="a")
    ended = new_job(ready_at=None, state=JobState.COMPLETED, job_type="a")
    await put(database, *map(creation, (*ready, later, ended)))
    for _ in range(2):
        await here.lease_new_job(job_type="c")
    found = await database.census.take(ALL)
    assert {r.job_type: r.jobs for r in found.runnable} == {"a": 2, "b": 1}
    oldest = {r.job_type: r.oldest for r in found.runnable}
    assert 70 <= oldest["a"] < 130
    assert 1 <= oldest["b"] < 60
    assert found.held == {"c": 2}
    assert found.sessions == 2
    assert not found.partial


async def test_counting_stops_at_the_limit_and_the_census_is_partial(database: Database) -> None:
    job = new_job()
    await put(database, creation(job, *(new_prompt(job, round=n) for n in range(7))))
    found = await database.census.take(5)
    assert sum(found.prompts[0].by_age) == 5
    assert found.partial
    assert not (await database.census.take(8)).partial


async def test_expired_sessions_do_not_count(database: Database) -> None:
    await database.sessions.open("default", "w", "wanda", "here", 3600)
    await database.sessions.open("default", "w", "wanda", "here", -1)
    assert (await database.census.take(ALL)).sessions == 1


async def test_the_lag_of_the_feed_is_the_age_of_its_oldest_unread_event(database: Database) -> None:
    start = await database.feed.head()
    assert await database.census.behind(start) == 0
    first, second = new_job(), new_job()
    old = creation(first)
    old.events = [replace(e, at=e.at - timedelta(seconds=50)) for e in old.events]
    await put(database, old)
    await put(database, creation(second))
    assert 50 <= await database.census.behind(start) < 80
    _, reached = await database.feed.after(start, 1)
    assert 0 <= await database.census.behind(reached) < 30
    [*_, (_, end)] = [await database.feed.after(reached, 10)]
    assert await database.census.behind(end) == 0
    assert await database.census.behind(Position()) >= 50


async def test_pool_connections_are_counted_as_idle_or_in_use(database: Database) -> None:
    await database.ping()
    await (await database._dialect.reads.connect()).close()
    before = database.census.connections()
    assert before["in_use"] == 0
    assert before["idle"] >= 1
    async with database._dialect.reads.connect():
        now = database.census.connections()
        assert now["in_use"] == 1
        assert now["idle"] == before["idle"] - 1


async def test_a_connection_that_is_kept_for_look_ups_is_idle_between_them(database: Database) -> None:
    await database.jobs.get_jobs([ABSENT_ID])
    found = database.census.connections()
    assert found["in_use"] == 0
    assert found["idle"] >= 1


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_a_database_error_does_not_show_statement_parameters(database: Database) -> None:
    """User input must not reach a log through an error message."""
    import sqlalchemy as sa

    statement = sa.select(sa.cast(sa.literal("swordfish", sa.Text()), sa.Integer()))
    with pytest.raises(sa.exc.DBAPIError) as failed:
        await database._dialect.run(lambda connection: connection.execute(statement))
    assert "hidden" in str(failed.value)
