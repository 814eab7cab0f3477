"""The queries of timers, dispatcher and sweep."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from askback_server.domain.jobs import Failure, JobState, Progress
from askback_server.domain.nudges import Nudges
from askback_server.ports.clock import uuid7
from askback_server.ports.storage import Position
from askback_server.storage import tables
from askback_server.storage.database import Database
from tests.support.rows import as_closed, creation, event, new_job, new_prompt, now, step
from tests.support.storage import LONG, execute, fetch

SECOND = timedelta(seconds=1)
MINUTE = 60 * SECOND
REFUNDS = ("default", "refund")


async def put(database: Database, *jobs: object) -> None:
    assert not (await database.jobs.write([creation(job) for job in jobs])).lost  # type: ignore[arg-type]


async def test_claimable_jobs_are_ordered_by_priority_then_age(database: Database) -> None:
    at = await database.ping()
    jobs = [
        new_job(priority=p, ready_at=at - timedelta(seconds=age)) for p in (0, 7, -7) for age in (1, 30, 20)
    ]
    await put(database, *jobs)
    expected = sorted(jobs, key=lambda j: (-j.priority, j.ready_at or at))
    found = await database.queue.claimable({REFUNDS: 100})
    assert found == {REFUNDS: [j.job_id for j in expected]}
    found = await database.queue.claimable({REFUNDS: 4})
    assert found == {REFUNDS: [j.job_id for j in expected[:4]]}


async def test_queues_with_jobs_are_listed_in_pages(database: Database) -> None:
    """In the order of the database, with what the first job of each says about it."""
    at = await database.ping()
    await put(database, *(new_job(ready_at=at - SECOND, job_type=f"type{n // 3}") for n in range(15)))
    await put(database, new_job(ready_at=at - SECOND, namespace="other"))
    await put(database, new_job(ready_at=at + LONG, job_type="later"))
    await put(database, new_job(ready_at=None, state=JobState.RUNNING, job_type="runs"))
    every = {"later": False} | dict.fromkeys((f"type{n}" for n in range(5)), True)
    start = {"default": "", "other": "", "none": ""}
    found = await database.queue.list_queues(start, 10)
    assert found == {"default": every, "other": {"refund": True}}
    assert [*found["default"]] == sorted(every)
    assert await database.queue.list_queues(start, 2) == {
        "default": {"later": False, "type0": True},
        "other": {"refund": True},
    }
    after = {"default": "type2", "other": "refund"}
    assert await database.queue.list_queues(after, 2) == {"default": {"type3": True, "type4": True}}
    assert await database.queue.list_queues({"default": "type4"}, 2) == {}


async def test_a_queue_is_known_to_have_jobs_by_its_most_urgent_one(database: Database) -> None:
    at = await database.ping()
    await put(database, new_job(ready_at=at + LONG, priority=9), new_job(ready_at=at - SECOND))
    await put(database, *(new_job(ready_at=at + age, job_type="mail") for age in (LONG, -SECOND)))
    found = await database.queue.list_queues({"default": ""}, 10)
    assert found == {"default": {"mail": True, "refund": False}}


async def test_the_backlog_of_a_type_does_not_hide_jobs_of_other_types(database: Database) -> None:
    """However many types are asked for."""
    at = await database.ping()
    many = [new_job(ready_at=at - SECOND * i, priority=9) for i in range(1, 30)]
    few = [new_job(ready_at=at - SECOND, job_type=f"type{i:03}") for i in range(0, 200, 40)]
    await put(database, *many, *few)
    limits = {REFUNDS: 3, ("default", "none"): 0} | {("default", f"type{i:03}"): 2 for i in range(200)}
    found = await database.queue.claimable(limits)
    assert found.pop(REFUNDS) == [j.job_id for j in many[:-4:-1]]
    assert found == {("default", j.job_type): [j.job_id] for j in few}


async def test_only_ready_jobs_of_the_types_and_namespace_are_claimable(database: Database) -> None:
    at = await database.ping()
    ready = new_job(ready_at=at - SECOND)
    other = new_job(ready_at=at - SECOND, namespace="other")
    await put(
        database,
        ready,
        new_job(ready_at=at + LONG),
        new_job(ready_at=None, state=JobState.RUNNING),
        other,
        new_job(ready_at=at - SECOND, job_type="mail"),
    )
    found = await database.queue.claimable({REFUNDS: 100, ("default", "none"): 100})
    assert found == {REFUNDS: [ready.job_id]}
    assert len(await database.queue.claimable({REFUNDS: 100, ("default", "mail"): 100})) == 2
    found = await database.queue.claimable({REFUNDS: 100, ("other", "refund"): 100, ("other", "mail"): 100})
    assert found == {REFUNDS: [ready.job_id], ("other", "refund"): [other.job_id]}
    assert await database.queue.claimable({}) == {}
    # A leased job is no longer claimable.
    await database.jobs.write([step(ready, ready_at=None)])
    assert await database.queue.claimable({REFUNDS: 100}) == {}


async def test_due_returns_deadlines_up_to_a_time_soonest_first(database: Database) -> None:
    at = now()
    jobs = [new_job(cancel_at=at + LONG + i * MINUTE if i % 2 else None) for i in range(4)]
    prompts = [new_prompt(jobs[i % 4], expires_at=at + LONG + (i + 0.5) * MINUTE) for i in range(6)]
    stepping = new_prompt(jobs[1], nudges=Nudges(step_at=at + LONG + 2.75 * MINUTE, remind_at=at + 2 * LONG))
    over = Nudges(steps=1, step_at=at)
    ended = as_closed(new_prompt(jobs[0], expires_at=at - LONG, nudges=over))
    timeless = new_prompt(jobs[0], nudges=Nudges(steps=1))
    rest = (stepping, ended, timeless)
    await database.jobs.write(
        [creation(j, *(p for p in (*prompts, *rest) if p.job_id == j.job_id)) for j in jobs]
    )
    expected = sorted(
        [(p.expires_at, "due", p.job_id) for p in prompts if p.expires_at]
        + [(at + LONG + 2.75 * MINUTE, "due", jobs[1].job_id)]
        + [(j.cancel_at, "cancel", j.job_id) for j in jobs if j.cancel_at]
    )
    before = await database.ping()
    clock, found = await database.queue.list_due(2 * LONG, 100)
    assert before <= clock <= await database.ping()
    assert found == expected
    assert (await database.queue.list_due(2 * LONG, 3))[1] == expected[:3]
    # Up to a time between two of them; the clock advances by much less meanwhile.
    until = at + LONG + 3.25 * MINUTE
    assert (await database.queue.list_due(until - clock, 100))[1] == [e for e in expected if e[0] <= until]
    assert (await database.queue.list_due(-LONG, 100))[1] == []


async def test_orphans_are_held_jobs_without_a_session_row(database: Database) -> None:
    row, _ = await database.sessions.open("default", "w", "wanda", "here", 3600)
    missing_session = uuid7()
    held, orphan = new_job(session_id=row.session_id), new_job(session_id=missing_session)
    await put(database, held, orphan, new_job())
    assert await database.queue.orphans(10) == [(orphan.job_id, missing_session)]
    await database.sessions.close(row.session_id, row.epoch)
    assert len(await database.queue.orphans(10)) == 2
    assert len(await database.queue.orphans(1)) == 1


async def test_expired_returns_jobs_past_retention_by_the_database_s_clock(database: Database) -> None:
    """As heads, without what may be large."""
    at = await database.ping()
    large = {"input_json": "{}", "result_json": "{}", "progress": Progress(1), "failure": Failure("E", "no")}
    jobs = [new_job(purge_at=at - i * SECOND, **large) for i in (1, 3, 2)]
    await put(database, *jobs, new_job(purge_at=at + LONG), new_job())
    expected = [
        replace(jobs[n], input_json="", result_json="", progress=None, failure=None) for n in (1, 2, 0)
    ]
    assert await database.queue.list_expired(10, None) == expected
    assert await database.queue.list_expired(2, None) == expected[:2]
    assert await database.queue.list_expired(10, expected[1].purge_at) == expected[1:]


# --- old events of the log ---


async def day_of_events(database: Database, database_kind: str, days_ago: int, count: int = 3) -> list[str]:
    """Store events of deleted jobs, some days old. Returns the ids of the jobs."""
    at = datetime.now(UTC) - timedelta(days=days_ago)
    if database_kind == "postgres":
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        name, until = f"job_events_{day:%Y%m%d}", day + timedelta(days=1)
        make = f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF job_events"
        await execute(database, f"{make} FOR VALUES FROM ('{day}') TO ('{until}')")
    ids = []
    for _ in range(count):
        job = new_job()
        write = creation(job)
        write.events = [event(job, at=at)]
        await database.jobs.write([write])
        await database.jobs.write([replace(step(job, deleted=True), events=[])])
        ids.append(job.job_id)
    return ids


async def jobs_with_events(database: Database) -> set[str]:
    return {row["job_id"] for row in await fetch(database, sa.select(tables.events.c.job_id))}


async def test_only_events_that_are_no_longer_needed_are_dropped(
    database: Database, database_kind: str
) -> None:
    old, middle, recent = [await day_of_events(database, database_kind, days) for days in (9, 6, 3)]
    keep = datetime.now(UTC) - timedelta(days=5)
    # A job that is stored since seven days keeps the log from then on, whether it has ended or not.
    since = new_job(created_at=datetime.now(UTC) - timedelta(days=7))
    await database.jobs.write([creation(since)])
    assert await database.queue.drop_events(keep, 100) == (1 if database_kind == "postgres" else 3)
    assert await jobs_with_events(database) == {*middle, *recent, since.job_id}
    assert await database.queue.drop_events(keep, 100) == 0
    # Without it, only the events that tokens made after `keep` need are kept.
    await database.jobs.write([replace(step(since, deleted=True), events=[])])
    assert await database.queue.drop_events(keep, 100) == (1 if database_kind == "postgres" else 3)
    assert await jobs_with_events(database) == {*recent, since.job_id}
    assert old


async def test_the_tail_is_the_position_of_the_last_dropped_event(
    database: Database, database_kind: str
) -> None:
    assert await database.feed.tail() == Position(0, 0)
    await day_of_events(database, database_kind, 9)
    at = await newest(database)
    kept = await day_of_events(database, database_kind, 2)
    await database.queue.drop_events(datetime.now(UTC) - timedelta(days=5), 100)
    assert await database.feed.tail() == at
    _, reached = await database.feed.after(at, 100)
    assert reached > at
    changed, _ = await database.feed.after(Position(), 100)
    assert {c.job_id for c in changed} <= set(kept)


async def newest(database: Database) -> Position:
    order = (tables.events.c.xid.desc(), tables.events.c.id.desc())
    last = sa.select(tables.events.c.xid, tables.events.c.id).order_by(*order).limit(1)
    [row] = await fetch(database, last)
    return Position(row["xid"], row["id"])


async def test_the_tail_moves_before_the_events_are_dropped(
    database: Database, database_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resume in between is refused, instead of missing the dropped events."""
    await day_of_events(database, database_kind, 9)
    tails = []
    own = database._dialect.drop_events

    async def drop(before: datetime, last: Position) -> int:
        tails.append(await database.feed.tail())
        return await own(before, last)

    monkeypatch.setattr(database._dialect, "drop_events", drop)
    await database.queue.drop_events(datetime.now(UTC) - timedelta(days=5), 100)
    assert len(tails) == 1
    assert tails[0] > Position()


async def test_event_ids_are_never_reused(database: Database, database_kind: str) -> None:
    """Resume tokens contain event ids: even after all events are dropped, the next id is larger."""
    await day_of_events(database, database_kind, 9)
    before = await database.feed.tail(), await newest(database)
    await database.queue.drop_events(datetime.now(UTC) - timedelta(days=5), 100)
    assert await jobs_with_events(database) == set()
    assert await database.feed.head() == await database.feed.tail() == before[1]
    await put(database, new_job())
    assert await newest(database) > before[1]
