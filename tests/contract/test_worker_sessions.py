"""Worker sessions: renewal, resume with a new epoch, and expiry by the database's clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from askback_server.domain.commands import SessionRef
from askback_server.ports.clock import uuid7
from askback_server.ports.worker_sessions import Doubt, Doubts
from askback_server.storage import tables
from askback_server.storage.aggregate_reads import WORKERS
from askback_server.storage.database import Database
from tests.support.plans import statements_of
from tests.support.rows import as_closed, creation, new_job, new_prompt
from tests.support.storage import expire_session, fetch

TTL = 3600.0


async def test_open_returns_a_new_session_and_its_secret(database: Database) -> None:
    before = await database.ping()
    row, secret = await database.sessions.open("n/1", "w-1", "wanda", "here", TTL)
    after = await database.ping()
    assert (row.namespace, row.worker_id, row.subject, row.replica) == ("n/1", "w-1", "wanda", "here")
    assert row.epoch == 1
    assert before + timedelta(seconds=TTL) <= row.expires_at <= after + timedelta(seconds=TTL)
    other, other_secret = await database.sessions.open("n/1", "w-1", "wanda", "here", TTL)
    assert other.session_id != row.session_id
    assert len({secret, other_secret}) == 2
    [stored] = await fetch(
        database, sa.select(tables.sessions).where(tables.sessions.c.session_id == row.session_id)
    )
    assert secret not in [str(value) for value in stored.values()], "only its hash is stored"


async def test_resume_moves_the_session_and_raises_its_epoch(database: Database) -> None:
    row, secret = await database.sessions.open("default", "w", "wanda", "here", 60)
    again = await database.sessions.resume(row.session_id, secret, "wanda", "there", TTL)
    assert again is not None
    assert (again.epoch, again.replica, again.worker_id) == (2, "there", "w")
    assert again.expires_at > row.expires_at
    third = await database.sessions.resume(row.session_id, secret, "wanda", "here", TTL)
    assert third is not None
    assert third.epoch == 3


async def test_resume_and_extend_require_the_secret_and_the_subject(database: Database) -> None:
    row, secret = await database.sessions.open("default", "w", "wanda", "here", TTL)
    _, other = await database.sessions.open("default", "w", "wanda", "here", TTL)
    for session_id, key, subject in (
        (row.session_id, other, "wanda"),
        (row.session_id, "", "wanda"),
        (row.session_id, secret, "wim"),
        (uuid7(), secret, "wanda"),
    ):
        assert await database.sessions.resume(session_id, key, subject, "there", TTL) is None
        assert await database.sessions.extend(session_id, key, subject, TTL) is None
    [alive] = (await database.sessions.beat([(row.session_id, 1)], TTL)).values()
    assert alive > row.expires_at


async def test_extend_renews_a_session_without_a_new_epoch(database: Database) -> None:
    row, secret = await database.sessions.open("default", "w", "wanda", "here", 60)
    until = await database.sessions.extend(row.session_id, secret, "wanda", TTL)
    assert until is not None
    assert until > row.expires_at
    resumed = await database.sessions.resume(row.session_id, secret, "wanda", "here", TTL)
    assert resumed is not None
    assert resumed.epoch == 2


async def test_a_beat_renews_live_sessions_of_the_given_epoch_only(database: Database) -> None:
    opened = [await database.sessions.open("default", "w", "wanda", "here", 60) for _ in range(4)]
    rows = [row for row, _ in opened]
    taken = await database.sessions.resume(rows[1].session_id, opened[1][1], "wanda", "there", 60)
    assert taken is not None
    await expire_session(database, rows[2].session_id)
    held = [(row.session_id, 1) for row in rows[:3]] + [(uuid7(), 1)]
    kept = await database.sessions.beat(held, TTL)
    assert kept.keys() == {rows[0].session_id}
    assert kept[rows[0].session_id] > rows[0].expires_at
    # The refused beat of the old epoch has not renewed the session.
    stored = await fetch(database, sa.select(tables.sessions.c.session_id, tables.sessions.c.expires_at))
    expiries = {row["session_id"]: row["expires_at"] for row in stored}
    assert expiries[rows[1].session_id] == taken.expires_at
    assert expiries[rows[3].session_id] == rows[3].expires_at
    assert await database.sessions.beat([], TTL) == {}
    assert (await database.sessions.beat([(rows[1].session_id, 2)], TTL)).keys() == {rows[1].session_id}


async def test_an_expired_session_cannot_be_renewed_or_resumed(database: Database) -> None:
    row, secret = await database.sessions.open("default", "w", "wanda", "here", TTL)
    await expire_session(database, row.session_id)
    assert await database.sessions.resume(row.session_id, secret, "wanda", "here", TTL) is None
    assert await database.sessions.extend(row.session_id, secret, "wanda", TTL) is None
    assert await database.sessions.beat([(row.session_id, 1)], TTL) == {}
    assert await database.sessions.reap() == 1
    assert await database.sessions.resume(row.session_id, secret, "wanda", "here", TTL) is None


async def test_reap_deletes_expired_sessions_only(database: Database) -> None:
    rows = [(await database.sessions.open("default", "w", "wanda", "here", TTL))[0] for _ in range(4)]
    assert await database.sessions.reap() == 0
    for row in rows[:2]:
        await expire_session(database, row.session_id)
    assert await database.sessions.reap() == 2
    assert await database.sessions.reap() == 0
    alive = await database.sessions.beat([(row.session_id, 1) for row in rows], TTL)
    assert alive.keys() == {rows[2].session_id, rows[3].session_id}


async def test_close_requires_the_current_epoch(database: Database) -> None:
    row, secret = await database.sessions.open("default", "w", "wanda", "here", TTL)
    await database.sessions.resume(row.session_id, secret, "wanda", "there", TTL)
    assert not await database.sessions.close(row.session_id, 1)
    assert await database.sessions.close(row.session_id, 2)
    assert not await database.sessions.close(row.session_id, 2)


async def test_leases_returns_the_jobs_of_the_session_only(database: Database) -> None:
    row, _ = await database.sessions.open("default", "w", "wanda", "here", TTL)
    mine = [new_job(session_id=row.session_id) for _ in range(2)]
    others = [new_job(session_id=uuid7()), new_job()]
    await database.jobs.write([creation(job) for job in (*mine, *others)])
    found = await database.sessions.leases(row.session_id)
    assert found == {j.job_id: (j.token, j.version) for j in mine}


async def test_concurrent_resumes_get_distinct_epochs_and_the_last_one_holds(database: Database) -> None:
    row, secret = await database.sessions.open("default", "w", "wanda", "here", TTL)
    taken = await asyncio.gather(
        *(database.sessions.resume(row.session_id, secret, "wanda", f"r{i}", TTL) for i in range(8))
    )
    assert sorted(t.epoch for t in taken if t) == list(range(2, 10))
    kept = [t for t in taken if t and await database.sessions.beat([(t.session_id, t.epoch)], TTL)]
    assert [t.epoch for t in kept] == [9]


async def test_doubts_are_stored_by_the_current_stream_and_cleared_by_a_resume(database: Database) -> None:
    row, secret = await database.sessions.open("default", "w", "wanda", "here", TTL)
    mine, any_epoch = SessionRef(row.session_id, 1), SessionRef(row.session_id, 0)
    seen: list[Doubts] = []

    def add_doubt(doubts: Doubts) -> Doubts:
        seen.append(dict(doubts))
        return {**doubts, f"j{len(seen)}": Doubt(len(seen), 7, 1.5)}

    for session in (mine, any_epoch, SessionRef(row.session_id, 2), SessionRef(uuid7(), 0), mine):
        await database.sessions.change_doubts(session, add_doubt)
    assert [*map(len, seen)] == [0, 1, 2]
    assert seen[-1] == {"j1": Doubt(1, 7, 1.5), "j2": Doubt(2, 7, 1.5)}
    assert await database.sessions.resume(row.session_id, secret, "wanda", "there", TTL) is not None
    await database.sessions.change_doubts(mine, add_doubt)
    assert len(seen) == 3, "an older stream stores nothing"
    await database.sessions.change_doubts(any_epoch, add_doubt)
    assert seen[-1] == {}
    await expire_session(database, row.session_id)
    await database.sessions.change_doubts(any_epoch, add_doubt)
    assert len(seen) == 4


async def test_an_expired_session_is_reaped_only_after_its_doubts_are_settled(database: Database) -> None:
    sessions = database.sessions
    opened = [(await sessions.open("default", "w", "wanda", "here", TTL))[0].session_id for _ in range(3)]
    doubted, plain, living = opened
    for session_id in (doubted, living):
        await sessions.change_doubts(SessionRef(session_id, 0), lambda _: {"j": Doubt(3, 9)})
    for session_id in (doubted, plain):
        await expire_session(database, session_id)
    assert await sessions.list_expired_doubts(10) == [(doubted, {"j": Doubt(3, 9)})]
    assert await sessions.reap() == 1
    assert await sessions.list_expired_doubts(10) == [(doubted, {"j": Doubt(3, 9)})]
    await sessions.settle(doubted)
    assert await sessions.list_expired_doubts(10) == []
    assert await sessions.reap() == 1


async def test_sessions_that_resume_together_get_the_same_as_alone(database: Database) -> None:
    """Also in one transaction: a wrong secret, an expired session, a repeated one, and another replica."""
    names = [f"w{n}" for n in range(6)]
    opened = await asyncio.gather(
        *(database.sessions.open("default", name, "wanda", "here", 60) for name in names)
    )
    assert [row.worker_id for row, _ in opened] == names
    assert len({secret for _, secret in opened}) == len(names)
    await expire_session(database, opened[4][0].session_id)
    secrets = [secret for _, secret in opened]
    secrets[5] = secrets[0]
    asked = [(row.session_id, secret, "there") for (row, _), secret in zip(opened, secrets, strict=True)]
    asked += [(opened[0][0].session_id, secrets[0], "there"), (opened[1][0].session_id, secrets[1], "third")]
    found = await asyncio.gather(
        *(database.sessions.resume(i, secret, "wanda", replica, TTL) for i, secret, replica in asked)
    )
    epochs = [(row.worker_id, row.epoch, row.replica) if row is not None else None for row in found]
    assert epochs == [
        ("w0", 2, "there"),
        ("w1", 2, "there"),
        ("w2", 2, "there"),
        ("w3", 2, "there"),
        None,
        None,
        ("w0", 3, "there"),
        ("w1", 3, "third"),
    ]


async def test_sessions_that_are_extended_together_get_the_same_as_alone(database: Database) -> None:
    """Also in one transaction: a wrong secret, an expired session, a repeated one, and another TTL."""
    opened = [await database.sessions.open("default", "w", "wanda", "here", 60) for _ in range(5)]
    [one, two, expired, wrong, longer] = [row.session_id for row, _ in opened]
    await expire_session(database, expired)
    secrets = {row.session_id: secret for row, secret in opened} | {wrong: opened[0][1]}
    now = await database.ping()
    ttls = [(one, TTL), (two, TTL), (expired, TTL), (wrong, TTL), (longer, 2 * TTL), (two, TTL)]
    found = await asyncio.gather(*(database.sessions.extend(i, secrets[i], "wanda", ttl) for i, ttl in ttls))
    hours = [(until - now) // timedelta(seconds=TTL) if until is not None else None for until in found]
    assert hours == [1, 1, None, None, 2, 1]
    stored = await fetch(database, sa.select(tables.sessions.c.session_id, tables.sessions.c.expires_at))
    expiries = {row["session_id"]: row["expires_at"] for row in stored}
    assert expiries == {
        one: found[0],
        two: found[5],
        expired: expiries[expired],
        wrong: opened[3][0].expires_at,
        longer: found[4],
    }


async def test_doubts_that_change_together_are_those_of_their_session(database: Database) -> None:
    """Also in one transaction: two changes of one session, an old epoch, and an expired session."""
    sessions = database.sessions
    opened = [(await sessions.open("default", "w", "wanda", "here", TTL))[0].session_id for _ in range(4)]
    one, two, old, expired = opened
    await expire_session(database, expired)

    async def doubt(session_id: str, job_id: str, epoch: int = 0) -> None:
        await sessions.change_doubts(SessionRef(session_id, epoch), lambda known: {**known, job_id: Doubt(1)})

    await asyncio.gather(
        doubt(one, "a"), doubt(two, "b", 1), doubt(one, "c"), doubt(old, "d", 2), doubt(expired, "e")
    )
    found: list[Doubts] = []

    def note(known: Doubts) -> Doubts:
        found.append(known)
        return known

    for session_id in opened:
        await sessions.change_doubts(SessionRef(session_id, 0), note)
    assert found == [{"a": Doubt(1), "c": Doubt(1)}, {"b": Doubt(1)}, {}]


async def test_workers_that_come_together_share_their_transactions_and_reads(database: Database) -> None:
    """The cost is counted, because the work of each statement hides it on a fast machine."""
    transactions = []
    run = database._dialect.run

    async def count_and_run(work: Any) -> Any:
        transactions.append(work)
        return await run(work)

    database._dialect.run = count_and_run  # type: ignore[method-assign]
    opened = await asyncio.gather(
        *(database.sessions.open("default", f"w{n}", "wanda", "here", 60) for n in range(40))
    )
    assert len(transactions) == 1
    await asyncio.gather(
        *(database.sessions.resume(row.session_id, secret, "wanda", "there", 60) for row, secret in opened)
    )
    assert len(transactions) == 2
    await asyncio.gather(
        *(database.sessions.extend(row.session_id, secret, "wanda", 60) for row, secret in opened)
    )
    assert len(transactions) == 3
    doubts = {"j": Doubt(1)}
    await asyncio.gather(
        *(
            database.sessions.change_doubts(SessionRef(row.session_id, 0), lambda _: doubts)
            for row, _ in opened
        )
    )
    assert len(transactions) == 4
    ids = [row.session_id for row, _ in opened]
    await database.jobs.write([creation(new_job(session_id=session_id)) for session_id in ids])

    async def read_all() -> None:
        held = await asyncio.gather(*map(database.jobs.list_held, ids))
        assert [[job.session_id for job in theirs] for theirs in held] == [[i] for i in ids]
        await asyncio.gather(*(database.jobs.list_unconfirmed([job.job_id for job in jobs]) for jobs in held))

    assert len(await statements_of(read_all())) == 2 * -(-len(ids) // WORKERS)


async def test_held_jobs_and_unconfirmed_prompts_are_those_of_the_session(database: Database) -> None:
    one, other = uuid7(), uuid7()
    mine, theirs, free = new_job(session_id=one, token=4), new_job(session_id=other), new_job()
    missed, waiting = as_closed(new_prompt(mine)), new_prompt(mine)
    confirmed = as_closed(new_prompt(mine, consumed_at=mine.created_at))
    elsewhere = as_closed(new_prompt(theirs))
    await database.jobs.write(
        [creation(mine, missed, confirmed, waiting), creation(theirs, elsewhere), creation(free)]
    )
    held, others, none = await asyncio.gather(*map(database.jobs.list_held, (one, other, uuid7())))
    assert [(job.job_id, job.token, job.version) for job in held] == [(mine.job_id, 4, mine.version)]
    assert [job.job_id for job in others] == [theirs.job_id]
    assert none == []
    unconfirmed = database.jobs.list_unconfirmed
    found = await asyncio.gather(
        unconfirmed([mine.job_id]), unconfirmed([theirs.job_id]), unconfirmed([free.job_id]), unconfirmed([])
    )
    assert [[p.prompt_id for p in prompts] for prompts in found] == [
        [missed.prompt_id],
        [elsewhere.prompt_id],
        [],
        [],
    ]
