"""Counts by the hour: each event once, in its hour, over replicas, crashes and late commits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain import commands as c
from askback_server.domain.events import Event, EventType
from askback_server.domain.overview import BOUNDS, NO_TIME, Measure, Window, percentile, sum_activity
from askback_server.engine import hourly_counts
from askback_server.engine.hourly_counts import HourlyCounts
from askback_server.ports.clock import DatabaseClock, SystemClock
from askback_server.ports.overview import CountMark
from askback_server.ports.storage import Position
from askback_server.storage.database import Database
from askback_server.storage.history import _keep_mark
from askback_server.storage.hour_table import hour_counts
from askback_server.storage.settings import COUNTED
from tests.contract.test_wakeups import long_transaction
from tests.support.aggregates import CLIENT, question
from tests.support.plans import plan_of, statements_of
from tests.support.rows import creation, event, new_job, new_prompt
from tests.support.storage import Node, execute, fetch

HOUR = timedelta(hours=1)
KEEP = timedelta(days=400)
ALL = Position(2**40, 2**40)
NOON = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
"""Begin of today: SQLite and today's partition of PostgreSQL have events of it."""


def counting(database: Database, keep: timedelta = KEEP) -> HourlyCounts:
    clock = DatabaseClock(SystemClock())
    return HourlyCounts(database.overview, clock, keep)


async def rows(database: Database) -> list[dict[str, Any]]:
    return [dict(row) for row in await fetch(database, sa.select(hour_counts))]


async def totals(database: Database) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for row in await rows(database):
        counts[row["measure"]] += row["n"]
    return dict(counts)


async def write(database: Database, job: Any, events: Sequence[Event], *prompts: Any) -> None:
    """A new job with exactly these events."""
    made = replace(creation(job, *prompts), events=list(events))
    assert not (await database.jobs.write([made])).lost


async def created(database: Database, n: int, at: datetime = NOON, **fields: Any) -> None:
    for _ in range(n):
        job = new_job(**fields)
        await write(database, job, [event(job, EventType.JOB_CREATED, at=at)])


async def test_everything_that_happens_is_counted_by_type_and_kind(here: Node) -> None:
    counts = counting(here.database)
    job, prompt = await here.waiting(content=question(kind="confirm"), job_type="mail")
    await here.answer(prompt)
    await here.complete(job)
    other = await here.create(job_type="refund", prompt=question(kind="clarify"))
    await here.do(c.CancelJob(principal=CLIENT, job_id=other.job_id))
    await counts.update()
    found = {(r["job_type"], r["kind"], r["measure"]): r["n"] for r in await rows(here.database)}
    assert found == {
        ("mail", "", "jobs_created"): 1,
        ("mail", "", "jobs_completed"): 1,
        ("mail", "confirm", "prompts_asked"): 1,
        ("mail", "confirm", "prompts_answered"): 1,
        ("refund", "", "jobs_created"): 1,
        ("refund", "", "jobs_cancelled"): 1,
        ("refund", "clarify", "prompts_asked"): 1,
        ("refund", "clarify", "prompts_withdrawn"): 1,
    }
    mark = await here.database.overview.mark()
    assert mark.until is not None
    await counts.update()
    assert await totals(here.database) == {**Counter(k[2] for k in found)}


async def test_two_replicas_count_each_event_once(
    here: Node, there: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hourly_counts, "PAGE_EVENTS", 3)
    monkeypatch.setattr(hourly_counts, "REST_RATIO", 0.0)
    await created(here.database, 20)
    both = [counting(node.database) for node in (here, there, here, there)]
    await asyncio.gather(*(each.update() for each in both))
    await counting(there.database).update()
    assert await totals(here.database) == {"jobs_created": 20}


async def test_a_page_that_another_replica_has_counted_is_not_added(here: Node, there: Node) -> None:
    await created(here.database, 5)
    mine, theirs = here.database.overview, there.database.overview
    mark = await mine.mark()
    slow = await mine.count_after(mark.position, 100)
    assert await theirs.add(await theirs.mark(), await theirs.count_after(mark.position, 3))
    assert not await mine.add(mark, slow)
    assert await totals(here.database) == {"jobs_created": 3}
    await counting(here.database).update()
    assert await totals(here.database) == {"jobs_created": 5}


@pytest.mark.parametrize("dies", ["before", "after"])
async def test_a_replica_that_dies_while_it_adds_loses_and_doubles_nothing(
    here: Node, there: Node, dies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the move of the mark and the counts, or after the commit and before the reply."""
    await created(here.database, 4)
    own = here.database._dialect.run

    class Killed(BaseException):
        pass

    async def run(work: Any) -> Any:
        def die(connection: sa.Connection) -> Any:
            if dies == "before":

                def refuse(_: Any, __: Any, statement: str, *___: Any) -> None:
                    if statement.startswith("INSERT"):
                        raise Killed

                sa.event.listen(connection, "before_cursor_execute", refuse)
            return work(connection)

        await own(die)
        raise Killed

    monkeypatch.setattr(here.database._dialect, "run", run)
    with pytest.raises(Killed):
        await counting(here.database).update()
    assert await totals(there.database) == ({} if dies == "before" else {"jobs_created": 4})
    await counting(there.database).update()
    assert await totals(there.database) == {"jobs_created": 4}


@pytest.mark.parametrize("minutes", [59, 60, 61, 0])
async def test_an_event_belongs_to_the_hour_in_which_it_happened(database: Database, minutes: int) -> None:
    last = timedelta(minutes=minutes) - timedelta(microseconds=1)
    at = NOON + (last if minutes == 60 else timedelta(minutes=minutes))
    await created(database, 1, at)
    await counting(database).update()
    [row] = await rows(database)
    assert row["hour"] == (NOON if minutes in (0, 59, 60) else NOON + HOUR)


async def test_an_event_that_is_committed_late_is_added_to_its_hour(database: Database) -> None:
    await created(database, 2, NOON + timedelta(minutes=30))
    await counting(database).update()
    await created(database, 1, NOON + timedelta(hours=2))
    await counting(database).update()
    await created(database, 3, NOON + timedelta(minutes=59))
    await counting(database).update()
    found = {row["hour"]: row["n"] for row in await rows(database)}
    assert found == {NOON: 5, NOON + 2 * HOUR: 1}


async def test_events_after_an_open_transaction_are_counted_later(pg: Database, pg_url: str) -> None:
    """It may still write events of a lower position."""
    async with long_transaction(pg_url):
        await created(pg, 2)
        await counting(pg).update()
        assert await totals(pg) == {}
        assert (await pg.overview.mark()).until == NOON
    await counting(pg).update()
    assert await totals(pg) == {"jobs_created": 2}
    until = (await pg.overview.mark()).until
    assert until is not None
    assert until > NOON


async def test_answer_times_are_counted_in_buckets(database: Database) -> None:
    times = [0.5, 1.0, 1.26, 2.0, 60.0, 3_600.0, 90_000.0, 4e6]
    for seconds in times:
        job = new_job()
        prompt = new_prompt(job, created_at=NOON + timedelta(hours=1) - timedelta(seconds=seconds))
        answer = event(
            job,
            EventType.PROMPT_ANSWERED,
            at=NOON + timedelta(hours=1),
            prompt_id=prompt.prompt_id,
            data={"source": "HUMAN"},
        )
        await write(database, job, [answer], prompt)
    await counting(database).update()
    found = {row["bucket"]: row["n"] for row in await rows(database)}
    assert found == {0: 1, 1: 1, 2: 1, 4: 1, 18: 1, 36: 1, 50: 1, len(BOUNDS): 1}
    near = percentile(found, 0.5)
    assert near is not None
    assert 2.0 <= near.total_seconds() <= 2.52


async def test_defaults_and_carried_answers_have_no_time(database: Database) -> None:
    for data in ({"source": "TIMEOUT_DEFAULT"}, {"source": "HUMAN", "carried_from": "j"}, {"source": "TEST"}):
        job = new_job()
        prompt = new_prompt(job, created_at=NOON - HOUR)
        kind, at = EventType.PROMPT_ANSWERED, NOON
        await write(database, job, [event(job, kind, at=at, prompt_id=prompt.prompt_id, data=data)], prompt)
    await counting(database).update()
    found = {row["measure"]: row["bucket"] for row in await rows(database)}
    assert found == {"prompts_defaulted": 0, "prompts_carried": 0, "prompts_answered": 36}


async def test_a_job_that_was_deleted_before_the_count_is_counted(here: Node) -> None:
    job, prompt = await here.waiting(job_type="mail")
    await here.answer(prompt)
    await here.complete(job)
    await here.do(c.DeleteJob(principal=CLIENT, job_id=job.job_id))
    await counting(here.database).update()
    found = {(r["measure"], r["job_type"], r["bucket"]) for r in await rows(here.database)}
    assert ("jobs_created", "mail", 0) in found
    assert ("jobs_completed", "", 0) in found
    assert ("prompts_answered", "", NO_TIME) in found


async def test_old_hours_are_deleted(database: Database) -> None:
    at = await database.ping()
    hour = at.replace(minute=0, second=0, microsecond=0)
    for days in (10, 31, 33):
        row = {"namespace": "default", "job_type": "t", "kind": "", "measure": "jobs_created", "bucket": 0}
        insert = sa.insert(hour_counts).values(hour=hour - timedelta(days=days), n=1, **row)
        await execute(database, insert)
    await counting(database, timedelta(days=32)).update()
    assert [hour - r["hour"] for r in await rows(database)] == [timedelta(days=10), timedelta(days=31)]


async def test_a_window_has_its_first_and_not_an_earlier_hour(database: Database) -> None:
    now = NOON + timedelta(hours=20, minutes=30)
    window = Window.until(now, timedelta(hours=3))
    assert window.start == NOON + 17 * HOUR
    for hour in (16, 17, 19, 20):
        await created(database, hour, NOON + hour * HOUR, job_type=f"t{hour}")
    await created(database, 99, NOON + 18 * HOUR, namespace="other")
    await counting(database).update()
    points = await database.overview.by_point("default", window)
    types = await database.overview.by_type("default", window)
    found = sum_activity(window, points, types, None)
    made = Measure.JOBS_CREATED
    assert [point.by_measure[made] for point in found.points] == [17, 0, 19, 20]
    assert found.total.by_measure[made] == 56
    assert list(found.by_type) == [("t20", ""), ("t19", ""), ("t17", "")]


async def test_a_window_that_ends_at_a_full_hour_does_not_have_the_next_hour(database: Database) -> None:
    window = Window.until(NOON + 20 * HOUR, HOUR)
    await created(database, 1, NOON + 19 * HOUR)
    await created(database, 2, NOON + 20 * HOUR)
    await counting(database).update()
    points = await database.overview.by_point("default", window)
    assert [(at, n) for at, _, _, n in points] == [(0, 1)]
    assert len(window.starts) == 1


async def test_hours_are_put_together_to_wider_points(database: Database) -> None:
    window = Window.until(NOON + timedelta(hours=23, minutes=59), timedelta(days=30))
    assert window.step == 12 * HOUR
    for hour in range(24):
        await created(database, 1, NOON + hour * HOUR)
    await counting(database).update()
    points = await database.overview.by_point("default", window)
    assert sorted((at, n) for at, _, _, n in points) == [(59, 12), (60, 12)]


async def test_a_restore_counts_on_where_it_was(database: Database) -> None:
    await created(database, 2)
    await counting(database).update()
    before = await database.overview.mark()
    await database._dialect.run(lambda connection: _keep_mark(connection, COUNTED))
    after = await database.overview.mark()
    assert after == CountMark(Position(3, before.position.id), before.until)


async def test_reads_use_indexes(database: Database) -> None:
    await created(database, 3)
    store = database.overview
    now = await store.now()
    window = Window.until(now, timedelta(days=30))
    sqlite = database._dialect.name == "sqlite"
    for call, indexes in (
        (store.count_after(Position(1, 1), 10), ("ix_job_events_feed" if sqlite else "xid_id_idx",)),
        (store.by_point("default", window), ("sqlite_autoindex_hour" if sqlite else "pk_hour_counts",)),
        (store.by_type("default", window), ("sqlite_autoindex_hour" if sqlite else "pk_hour_counts",)),
        (store.waiting("default", None, 100), ("ix_hitl_interactions_open",)),
        (store.waiting("default", CLIENT, 100), ("ix_hitl_interactions_open",)),
        (store.oldest("default", None, 100, 10), ("ix_hitl_interactions_open",)),
    ):
        for statement in await statements_of(call):
            found = await plan_of(database, statement)
            assert all(index in found for index in indexes), found
            scans = [line for line in found.splitlines() if "Seq Scan" in line or line.startswith("SCAN ")]
            derived = ("each", "span", "oldest", "found", "subquery", "VIRTUAL TABLE")
            assert all(any(name in scan for name in derived) for scan in scans), found


async def test_a_count_by_kind_reads_the_index_alone(database: Database) -> None:
    """Rows are large, because they hold the contents."""
    statement = database.overview.grouped_prompts("default", None, 100, await database.ping())
    found = await plan_of(database, statement)
    sqlite = database._dialect.name == "sqlite"
    assert ("USING COVERING INDEX ix_hitl" if sqlite else "Index Only Scan using ix_hitl") in found, found


async def test_the_roll_up_finds_jobs_and_prompts_by_id(database: Database) -> None:
    found = await plan_of(database, database.overview.grouped(Position(1, 1), Position(2, 2)))
    for index in (
        ("jobs_1", "hitl_interactions_1")
        if database._dialect.name == "sqlite"
        else (
            "pk_jobs",
            "pk_hitl_interactions",
        )
    ):
        assert index in found, found


async def test_old_hours_are_found_by_an_index(database: Database) -> None:
    [statement] = await statements_of(database.overview.delete_before(await database.ping()))
    found = await plan_of(database, statement)
    assert "ix_hour_counts_hour" in found, found
