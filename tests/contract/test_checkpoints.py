"""Checkpoints list the newest hash of each job: cut tails, deleted jobs and changed checkpoints are found."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from askback_server.domain import commands as c
from askback_server.domain.checkpoints import unpack_heads
from askback_server.engine import checkpoints as making
from askback_server.storage import tables
from askback_server.storage.checkpoint_table import audit_checkpoints
from askback_server.storage.database import Database
from tests.contract.test_wakeups import long_transaction
from tests.support.aggregates import CLIENT
from tests.support.audited_jobs import checkpoints, trip, verified
from tests.support.storage import Node, execute, faults_of, fetch, get_job, node


async def test_a_deleted_job_and_a_cut_tail_with_its_job_row_are_found_by_a_checkpoint(here: Node) -> None:
    kept, cut, gone = [await trip(here) for _ in range(3)]
    await checkpoints(here.database).update()
    assert (await verified(here.database)).faults == []
    # The row is changed too, so that the chain alone is whole.
    await execute(here.database, f"DELETE FROM job_events WHERE job_id = '{cut}' AND seq > 2")
    await execute(here.database, f"DELETE FROM hitl_interactions WHERE job_id = '{cut}'")
    await execute(here.database, f"DELETE FROM hitl_answers WHERE job_id = '{cut}'")
    await execute(here.database, f"DELETE FROM job_checkpoints WHERE job_id = '{cut}'")
    head = sa.select(tables.events.c.hash, tables.events.c.state).where(
        tables.events.c.job_id == cut, tables.events.c.seq == 2
    )
    [row] = await fetch(here.database, head)
    changed = sa.update(tables.jobs).where(tables.jobs.c.job_id == cut)
    values = {"version": 2, "chain": row["hash"], "status": row["state"], "result": None}
    await execute(here.database, changed.values(values))
    assert await faults_of(here.database, cut) == []
    await execute(here.database, f"DELETE FROM jobs WHERE job_id = '{gone}'")
    await execute(here.database, f"DELETE FROM job_events WHERE job_id = '{gone}'")
    found = {fault.row: fault.table for fault in (await verified(here.database)).faults}
    assert found == {f"{cut}, seq 3": "job_events", gone: "jobs"}
    assert kept not in str(found)


async def test_a_job_that_was_deleted_by_the_service_is_not_missing(here: Node) -> None:
    before, after = await trip(here), await trip(here)
    making_them = checkpoints(here.database)
    await here.do(c.DeleteJob(principal=CLIENT, job_id=before))
    await making_them.update()
    await here.do(c.DeleteJob(principal=CLIENT, job_id=after))
    assert (await verified(here.database)).faults == []
    await execute(here.database, f"DELETE FROM job_events WHERE job_id = '{before}'")  # its day was dropped
    assert (await verified(here.database)).faults == []
    await execute(here.database, f"DELETE FROM job_events WHERE job_id = '{after}'")
    assert [fault.row for fault in (await verified(here.database)).faults] == [after]


async def test_a_deleted_job_whose_first_days_were_dropped_is_whole(here: Node) -> None:
    job_id = await trip(here)
    await here.do(c.DeleteJob(principal=CLIENT, job_id=job_id))
    await execute(here.database, f"DELETE FROM job_events WHERE job_id = '{job_id}' AND seq < 7")
    assert (await verified(here.database)).faults == []
    assert (await verified(here.database, namespace="", job=job_id)).faults == []
    await checkpoints(here.database).update()
    assert (await verified(here.database, namespace="", job=job_id)).faults == []


async def test_a_job_without_its_row_is_found_before_a_checkpoint(here: Node) -> None:
    job_id = await trip(here)
    await execute(here.database, f"DELETE FROM jobs WHERE job_id = '{job_id}'")
    assert [fault.row for fault in (await verified(here.database)).faults] == [job_id]


async def test_the_first_checkpoints_cannot_be_cut_off(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "INTERVAL", timedelta(0))
    for _ in range(3):
        await trip(here)
        await checkpoints(here.database).update()
    old = sa.update(audit_checkpoints).where(audit_checkpoints.c.number == 1)
    await execute(here.database, old.values(at=await here.database.ping() - timedelta(days=500)))
    assert "time" in (await verified(here.database)).faults[0].problem
    await execute(here.database, "DELETE FROM audit_checkpoints WHERE number = 1")
    assert [fault.row for fault in (await verified(here.database)).faults] == ["default, 2"]


async def test_an_expected_statement_of_an_emptied_database_is_missed(here: Node) -> None:
    report = await verified(here.database, expect='{"type":"askback.checkpoint.v1"}')
    assert [fault.problem for fault in report.faults] == ["the expected statement is not there"]


async def test_checkpoints_are_chained(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "INTERVAL", timedelta(0))
    rounds = checkpoints(here.database)
    for _ in range(3):
        await trip(here)
        await rounds.update()
    await rounds.update()  # nothing has changed
    report = await verified(here.database)
    assert (report.checkpoints, report.unsigned, report.faults) == (3, 3, [])
    rows = await fetch(here.database, sa.select(audit_checkpoints).order_by(audit_checkpoints.c.number))
    assert rows[-1]["statement"] == report.last_statement
    heads = bytes(reversed(rows[1]["heads"]))
    second = sa.update(audit_checkpoints).where(audit_checkpoints.c.number == 2)
    await execute(here.database, second.values(heads=heads))
    assert (await verified(here.database)).faults[0].row == "default, 2"
    await execute(here.database, second.values(heads=rows[1]["heads"]))
    other = rows[1]["statement"].replace('"count":1', '"count":2')
    await execute(here.database, second.values(statement=other))
    assert [fault.row for fault in (await verified(here.database)).faults] == ["default, 3"]
    await execute(here.database, "DELETE FROM audit_checkpoints WHERE number = 2")
    assert [fault.row for fault in (await verified(here.database)).faults] == ["default, 3"]
    await execute(here.database, "DELETE FROM audit_checkpoints WHERE number = 3")
    assert (await verified(here.database)).faults == []
    assert (await verified(here.database, expect=report.last_statement)).faults != []


async def test_one_of_several_replicas_makes_the_checkpoints_of_a_round(here: Node, there: Node) -> None:
    await trip(here)
    first, second = checkpoints(here.database), checkpoints(there.database)
    mark = await here.database.checkpoints.mark()
    assert await first._make(mark) is not None
    assert await second._make(mark) is None
    await second.update()  # the interval has not passed
    assert (await verified(here.database)).checkpoints == 1


async def test_checkpoints_of_a_long_log_have_the_newest_event_of_each_job(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "PAGE_EVENTS", 3)
    monkeypatch.setattr(making, "MAX_HEADS", 2)
    job_ids = [await trip(here) for _ in range(5)]
    await checkpoints(here.database).update()
    assert (await verified(here.database)).checkpoints > 1
    heads = {}
    for row in await fetch(here.database, sa.select(audit_checkpoints).order_by(audit_checkpoints.c.number)):
        heads |= {head.job_id: head.seq for head in unpack_heads(row["heads"])}
    newest = {job_id: (await get_job(here.database, job_id)).version for job_id in job_ids}
    assert heads == newest
    assert (await verified(here.database)).faults == []


async def test_events_after_an_open_transaction_are_covered_later(pg: Database, pg_url: str) -> None:
    """It may still write events of a lower position."""
    async with node(pg_url) as here:
        async with long_transaction(pg_url):
            await trip(here)
            assert await checkpoints(pg).update() is None
        assert await checkpoints(pg).update() is not None
        assert (await verified(pg)).checkpoints == 1
