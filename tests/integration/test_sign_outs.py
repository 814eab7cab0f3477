"""EndSession: calls and streams of an ended sign-in session end, at every replica."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
import sqlalchemy as sa

from askback.v1 import access_service_pb2 as access
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback_server.engine import sign_outs
from askback_server.storage.sign_out_table import sign_outs as sign_outs_table
from askback_server.transport import open_calls
from tests.support.processes import eventually
from tests.support.refusals import expect_refusal, refusal_of
from tests.support.service import Caller, ServiceWorld, serving
from tests.support.storage import execute, fetch
from tests.support.streams import EOF

ROW = sign_outs_table.c


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read sign-outs and check open calls often."""
    monkeypatch.setattr(sign_outs, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(open_calls, "INTERVAL_SECONDS", 0.05)


def in_session(world: ServiceWorld, user: str, session_id: str) -> Caller:
    return Caller(world.channel, (("askback-user", user), ("askback-session", session_id)))


async def end(caller: Caller, session_id: str, **fields: Any) -> None:
    await caller.access.EndSession(access.EndSessionRequest(session_id=session_id, **fields))


async def test_calls_of_an_ended_session_are_refused(world: ServiceWorld) -> None:
    ana, other = in_session(world, "ana", "s1"), in_session(world, "ana", "s2")
    await ana.access.WhoAmI(access.WhoAmIRequest())
    await end(ana, "s1")
    for call in (
        ana.access.WhoAmI(access.WhoAmIRequest()),
        ana.hitl.ListPrompts(hitl.ListPromptsRequest()),
        ana.access.EndSession(access.EndSessionRequest(session_id="s1")),
    ):
        refused = await expect_refusal(call, "UNAUTHENTICATED", "SESSION_ENDED")
        assert "sign in again" in refused.message
    # The credentials stay valid, in another session and in none.
    await other.access.WhoAmI(access.WhoAmIRequest())
    plain = world.as_user("ana")
    await plain.access.WhoAmI(access.WhoAmIRequest())
    await end(plain, "s1")


async def test_another_persons_session_cannot_be_ended(world: ServiceWorld) -> None:
    await end(world.as_user("mallory"), "s1")
    await in_session(world, "ana", "s1").access.WhoAmI(access.WhoAmIRequest())


async def test_open_streams_of_an_ended_session_end(world: ServiceWorld) -> None:
    ana, other = in_session(world, "ana", "s1"), in_session(world, "ana", "s2")
    console, others = world.console(ana), world.console(other)
    await console.hello()
    await others.hello()
    await others.snapshot()
    watch = ana.jobs.WatchJobs(jobs.WatchJobsRequest())
    await watch.read()
    await end(ana, "s1")
    found = await console.wait_for_end()
    assert found is not None
    assert (found.code.name, found.reason) == ("UNAUTHENTICATED", "SESSION_ENDED")
    assert (await end_of(watch)).reason == "SESSION_ENDED"
    await others.nothing_more()
    # A client may read the end of its call before the server's handler has returned.
    running = world.service._server.calls.streams.by_method  # type: ignore[union-attr]
    await eventually(lambda: running["/askback.v1.HitlService/Converse"] == 1, "one open stream")


async def end_of(call: Any) -> Any:
    """Read to the end; the refusal."""
    try:
        async with asyncio.timeout(10):
            while await call.read() is not EOF:
                pass
    except grpc.aio.AioRpcError as error:
        return refusal_of(error)
    raise AssertionError("the call ended in order")


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_a_session_ends_at_every_replica(migrated_db_url: str) -> None:
    async with serving(migrated_db_url) as here, serving(migrated_db_url, replica="r2") as there:
        console = there.console(in_session(there, "ana", "s1"))
        await console.hello()
        await end(in_session(here, "ana", "s1"), "s1")
        found = await console.wait_for_end()
        assert found is not None
        assert (found.code.name, found.reason) == ("UNAUTHENTICATED", "SESSION_ENDED")
        copy = in_session(there, "ana", "s1").access.WhoAmI(access.WhoAmIRequest())
        await expect_refusal(copy, "UNAUTHENTICATED", "SESSION_ENDED")
    async with serving(migrated_db_url, replica="r3") as later:
        copy = in_session(later, "ana", "s1").access.WhoAmI(access.WhoAmIRequest())
        await expect_refusal(copy, "UNAUTHENTICATED", "SESSION_ENDED")


async def test_the_sweep_deletes_expired_sign_outs(world: ServiceWorld) -> None:
    database = world.service._database
    assert database is not None
    for session_id in ("s1", "s2"):
        await end(world.as_user("ana"), session_id)
    past = datetime.now(UTC) - timedelta(seconds=1)
    await execute(database, sa.update(sign_outs_table).where(ROW.session_id == "s1").values(expires_at=past))
    await world.service.replica.sweep.sweep()
    assert [r["session_id"] for r in await fetch(database, sa.select(sign_outs_table))] == ["s2"]


async def test_calls_read_no_sign_outs_from_the_database(world: ServiceWorld) -> None:
    replica = world.service.replica
    reads = 0
    own = replica.sign_outs._store.list_since

    async def count(*args: Any) -> Any:
        nonlocal reads
        reads += 1
        return await own(*args)

    replica.sign_outs._store.list_since = count  # type: ignore[method-assign]
    world.service._tasks["sign-outs"].remove_done_callback(world.service._part_ended)
    world.service._tasks["sign-outs"].cancel()
    for _ in range(20):
        await in_session(world, "ana", "s1").access.WhoAmI(access.WhoAmIRequest())
    assert reads == 0


@pytest.mark.parametrize("session_id", ["", "x" * 129])
async def test_a_session_that_could_not_be_ended_is_refused(lite: ServiceWorld, session_id: str) -> None:
    call = in_session(lite, "ana", session_id).access.WhoAmI(access.WhoAmIRequest())
    refused = await expect_refusal(call, "UNAUTHENTICATED", "UNAUTHENTICATED")
    assert "askback-session" in refused.message
    await expect_refusal(
        lite.access.EndSession(access.EndSessionRequest(session_id=session_id)),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
    )
