"""Sign-outs over two replicas: a session that was ended at one is ended at the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from askback_server.domain.errors import InvalidField, LimitExceeded
from askback_server.domain.limits import Limits
from askback_server.domain.sign_outs import MAX_AHEAD, SignOut
from askback_server.engine import sign_outs as engine
from askback_server.engine.sign_outs import SignOuts
from askback_server.ports.clock import DatabaseClock, SystemClock
from askback_server.storage.database import Database
from askback_server.storage.sign_out_table import sign_outs
from tests.support.plans import plan_of, statements_of
from tests.support.storage import execute, fetch

HOUR = timedelta(hours=1)
LIMITS = Limits()


async def cache_of(database: Database, limits: Limits = LIMITS) -> SignOuts:
    """What a replica that starts now knows."""
    clock = DatabaseClock(SystemClock())
    clock.observe(await database.ping())
    made = SignOuts(database.sign_outs, clock, limits)
    await made.load()
    return made


async def test_a_session_that_ends_at_one_replica_ends_at_the_others(database: Database) -> None:
    here, there = await cache_of(database), await cache_of(database)
    before = there.generation
    await here.end("ana", "s1", await database.ping() + HOUR)
    assert here.is_ended("ana", "s1")
    assert not there.is_ended("ana", "s1")
    await there.load()
    assert there.is_ended("ana", "s1")
    assert there.generation is not before
    same = there.generation
    await there.load()
    assert there.generation is same
    assert (await cache_of(database)).is_ended("ana", "s1")


async def test_a_session_id_counts_for_its_subject_only(database: Database) -> None:
    here = await cache_of(database)
    await here.end("bob", "s1", None)
    assert not here.is_ended("ana", "s1")
    assert not here.is_ended("bob", "s2")


async def test_a_row_that_was_committed_late_is_still_found(database: Database) -> None:
    """Its time is older than that of rows that were read already."""
    here, there = await cache_of(database), await cache_of(database)
    at = await database.ping()
    await here.end("ana", "first", at + HOUR)
    await there.load()
    late = sa.insert(sign_outs).values(
        subject="ana", session_id="late", stored_at=at - timedelta(seconds=20), expires_at=at + HOUR
    )
    await execute(database, late)
    await there.load()
    assert there.is_ended("ana", "late")


async def test_later_reads_are_limited_to_recent_rows(database: Database) -> None:
    here = await cache_of(database)
    at = await database.ping()
    old = sa.insert(sign_outs).values(
        subject="ana", session_id="old", stored_at=at - 2 * engine.OVERLAP, expires_at=at + HOUR
    )
    await execute(database, old)
    await here.end("ana", "new", at + HOUR)
    await here.load()
    await here.load()
    stored = await database.sign_outs.list_since(here._newest - engine.OVERLAP)  # type: ignore[operator]
    assert [each.sign_out.session_id for each in stored] == ["new"]


async def test_an_expired_sign_out_is_forgotten_and_deleted(database: Database) -> None:
    here = await cache_of(database)
    at = await database.ping()
    await here.end("ana", "over", at + HOUR)
    await here.end("ana", "long", at + HOUR)
    past = at - timedelta(seconds=1)  # the replica's estimate of the time is a little behind
    await execute(
        database, sa.update(sign_outs).where(sign_outs.c.session_id == "over").values(expires_at=past)
    )
    here._expiry["ana", "over"] = past
    known = here.generation
    await here.load()
    assert here.generation is known
    assert not here.is_ended("ana", "over")
    assert here._by_subject == {"ana": 1}
    assert await database.sign_outs.delete_expired() == 1
    assert [r["session_id"] for r in await fetch(database, sa.select(sign_outs))] == ["long"]


async def test_a_session_that_is_over_is_not_stored(database: Database) -> None:
    here = await cache_of(database)
    await here.end("ana", "s1", await database.ping() - HOUR)
    assert await fetch(database, sa.select(sign_outs)) == []


async def test_ending_again_lets_a_sign_out_last_longer_never_shorter(database: Database) -> None:
    at = await database.ping()
    for hours in (2, 5, 3):
        await database.sign_outs.add(SignOut("ana", "s1", at + hours * HOUR))
    [row] = await fetch(database, sa.select(sign_outs))
    assert row["expires_at"] == at + 5 * HOUR


async def test_a_replica_knows_the_latest_end_of_a_session(database: Database) -> None:
    """Otherwise the session would go on at this replica alone."""
    here = await cache_of(database)
    at = await database.ping()
    for hours in (2, 5, 3):
        await here.end("ana", "s1", at + hours * HOUR)
    assert here._expiry["ana", "s1"] == at + 5 * HOUR


async def test_one_subject_cannot_fill_the_table(database: Database) -> None:
    here = await cache_of(database, replace(LIMITS, sign_outs_per_subject=3))
    for number in range(3):
        await here.end("mallory", f"s{number}", None)
    with pytest.raises(LimitExceeded):
        await here.end("mallory", "s3", None)
    await here.end("mallory", "s2", None)  # a repeated call: its session has ended already
    await here.end("ana", "s3", None)


@pytest.mark.parametrize("session_id", ["", "x" * 129, "sch\u00f6n", "a\nb"])
async def test_an_id_that_metadata_cannot_carry_is_refused(database: Database, session_id: str) -> None:
    with pytest.raises(InvalidField, match="session_id"):
        await (await cache_of(database)).end("ana", session_id, None)


async def test_a_sign_out_lasts_31_days_at_most(database: Database) -> None:
    here = await cache_of(database)
    at = await database.ping()
    with pytest.raises(InvalidField, match="31 days"):
        await here.end("ana", "s1", at + MAX_AHEAD + HOUR)
    await here.end("ana", "s1", None)
    [row] = await fetch(database, sa.select(sign_outs))
    assert at + MAX_AHEAD - HOUR < row["expires_at"] < at + MAX_AHEAD + HOUR


async def test_reads_and_deletes_use_indexes(database: Database) -> None:
    store = database.sign_outs
    [read] = await statements_of(store.list_since(await database.ping()))
    assert "ix_sign_outs_stored_at" in await plan_of(database, read)
    [delete] = await statements_of(store.delete_expired())
    assert "ix_sign_outs_expires_at" in await plan_of(database, delete)
