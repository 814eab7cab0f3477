"""The hash chain of a job's events: what is changed in the database is found, and the wrong row is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.audit import Report, verify_stored
from askback_server.domain import commands as c
from askback_server.domain.chain import ERASED, digest_personal
from askback_server.domain.checkpoints import unpack_heads
from askback_server.domain.decisions import Decision
from askback_server.domain.retries import Keep
from askback_server.domain.retry_rules import plan_retry, repeat_job
from askback_server.engine import checkpoints as making
from askback_server.engine.checkpoints import Checkpoints
from askback_server.ports.clock import DatabaseClock, SystemClock
from askback_server.storage import tables
from askback_server.storage.audit_reads import AuditReads
from askback_server.storage.checkpoint_table import audit_checkpoints
from askback_server.storage.database import Database
from tests.contract.test_wakeups import long_transaction
from tests.support.aggregates import CLIENT, WORKER, question
from tests.support.storage import Node, execute, faults_of, fetch, get_job, node


async def trip(here: Node, **fields: object) -> str:
    """A job with an amended prompt, a refused and an accepted answer, a step and a result."""
    session = await here.session()
    job = await here.lease(await here.create(input_json='{"n": 9007199254740993}'), session)
    prompt = await here.ask(job, "first", question(title="Send it?"))
    prompt = await here.ask(job, "first", question(title="Send it now?"))
    await here.answer(prompt, decision=Decision.RESPOND, values_json="[1", answer_id="bad")
    await here.answer(prompt, decision=Decision.ACCEPT, answer_id="good")
    await here.do(
        c.SaveCheckpoint(
            principal=WORKER, job_id=job.job_id, token=job.token, key="step", value_json='{"a":1}'
        )
    )
    await here.complete(job)
    return job.job_id


TAMPERED = {
    "an event's type": (
        "UPDATE job_events SET type = 'PROMPT_EXPIRED' WHERE type = 'PROMPT_ANSWERED'",
        "seq 6",
    ),
    "an event's actor": ("UPDATE job_events SET actor = 'eve' WHERE type = 'PROMPT_ANSWERED'", "seq 6"),
    "an event's data": (
        "UPDATE job_events SET data = replace(CAST(data AS TEXT), 'ACCEPT', 'REJECT'){json} "
        "WHERE type = 'PROMPT_ANSWERED'",
        "seq 6",
    ),
    "an event's state": ("UPDATE job_events SET state = 'FAILED' WHERE seq = 2", "seq 2"),
    "a removed event": ("DELETE FROM job_events WHERE seq = 3", "seq 3"),
    "a document's salt": ("UPDATE job_events SET document_salt = NULL WHERE seq = 4", "hitl_interactions"),
    "a salt": ("UPDATE job_events SET salt = NULL WHERE seq = 3", "seq 3"),
    "a hash that was removed": ("UPDATE job_events SET hash = NULL WHERE seq = 3", "seq 3"),
    "a content": (
        "UPDATE hitl_interactions SET prompt_data = replace(CAST(prompt_data AS TEXT), 'now', 'not'){json}",
        "hitl_interactions",
    ),
    "an audience": (
        'UPDATE hitl_interactions SET audience = \'{{"users":["eve"],"groups":[]}}\'',
        "audience",
    ),
    "a digest of what was shown": (
        "UPDATE hitl_interactions SET shown_digest = '2:' || substr(shown_digest, 4) || '0'",
        "digest of what was shown",
    ),
    "a resolution": (
        "UPDATE hitl_interactions "
        "SET response_data = replace(CAST(response_data AS TEXT), 'ann', 'eve'){json}",
        "hitl_interactions",
    ),
    "a prompt's namespace": ("UPDATE hitl_interactions SET namespace = 'other'", "namespace"),
    "a prompt's key": ("UPDATE hitl_interactions SET key = 'other'", "key"),
    "a prompt's kind": ("UPDATE hitl_interactions SET interaction_type = 'other'", "interaction_type"),
    "a prompt's priority": ("UPDATE hitl_interactions SET priority = 9", "priority"),
    "a prompt's labels": ('UPDATE hitl_interactions SET labels = \'{{"a":"b"}}\'', "labels"),
    "a prompt's deadline": ("UPDATE hitl_interactions SET timeout_at = created_at", "deadline"),
    "a job's namespace": ("UPDATE jobs SET namespace = 'other'", "namespace"),
    "an event's type that no version knows": ("UPDATE job_events SET type = 'X' WHERE seq = 2", "seq 2"),
    "an event's data that is no JSON object": ("UPDATE job_events SET data = '7' WHERE seq = 4", "seq 4"),
    "a prompt's state": ("UPDATE hitl_interactions SET status = 'EXPIRED'", "hitl_interactions"),
    "a removed prompt": ("DELETE FROM hitl_interactions", "hitl_interactions"),
    "a part of an accepted answer": (
        "UPDATE hitl_answers SET answer = '{{\"answer_id\":\"good\"}}' WHERE answer_id = 'good'",
        "good",
    ),
    "an accepted answer": (
        "UPDATE hitl_answers SET answer = replace(CAST(answer AS TEXT), 'ann', 'eve'){json} "
        "WHERE answer_id = 'good'",
        "good",
    ),
    "a refused answer": (
        "UPDATE hitl_answers SET answer = replace(CAST(answer AS TEXT), 'ann', 'eve'){json} "
        "WHERE answer_id = 'bad'",
        "bad",
    ),
    "a verdict": ("UPDATE hitl_answers SET status = 'ACCEPTED' WHERE answer_id = 'bad'", "bad"),
    "a removed answer": ("DELETE FROM hitl_answers WHERE answer_id = 'bad'", "hitl_answers"),
    "a step": ("UPDATE job_checkpoints SET value = '{{\"a\":2}}'", "step"),
    "a removed step": ("DELETE FROM job_checkpoints", "step"),
    "an input": ("UPDATE jobs SET input = '{{\"n\": 9007199254740992}}'", "input"),
    "a removed input": ("UPDATE jobs SET input = NULL", "input"),
    "a result": ("UPDATE jobs SET result = '\"other\"'", "result"),
    "a job's state": ("UPDATE jobs SET status = 'FAILED'", "jobs"),
    "a job's version": ("UPDATE jobs SET version = version + 1", "version"),
    "a cut tail": ("DELETE FROM job_events WHERE seq = (SELECT max(seq) FROM job_events)", "version"),
    "all events": ("DELETE FROM job_events", "events are missing"),
}


async def test_what_is_changed_in_the_database_is_found(here: Node) -> None:
    """Each change is made to a job of its own."""
    is_postgres = here.database._dialect.name == "postgresql"
    for what, (template, where) in TAMPERED.items():
        job_id = await trip(here)
        assert await faults_of(here.database, job_id) == []
        sql = template.format(json="::json" if is_postgres else "")
        before, condition, rest = sql.partition(" WHERE ")
        theirs = f"{before} WHERE job_id = '{job_id}'" + (f" AND {rest}" if condition else "")
        theirs = theirs.replace("FROM job_events)", f"FROM job_events WHERE job_id = '{job_id}')")
        await execute(here.database, theirs)
        faults = await faults_of(here.database, job_id)
        assert faults, what
        assert where in faults[0], what


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


async def test_rows_may_be_missing_while_a_job_is_deleted_in_steps(here: Node) -> None:
    job_id = await trip(here)
    await execute(here.database, "DELETE FROM hitl_answers")
    assert await faults_of(here.database, job_id) != []
    past = await here.database.ping() - timedelta(hours=1)
    await execute(here.database, sa.update(tables.jobs).values(purge_at=past))
    await execute(here.database, "DELETE FROM job_checkpoints")
    assert await faults_of(here.database, job_id) == []


async def test_a_job_without_its_row_is_found_before_a_checkpoint(here: Node) -> None:
    job_id = await trip(here)
    await execute(here.database, f"DELETE FROM jobs WHERE job_id = '{job_id}'")
    assert [fault.row for fault in (await verified(here.database)).faults] == [job_id]


async def test_a_row_that_cannot_be_read_hides_no_other(here: Node) -> None:
    unreadable, changed = await trip(here), await trip(here)
    await execute(here.database, f"UPDATE job_events SET type = 'X' WHERE job_id = '{unreadable}'")
    await execute(here.database, f"UPDATE jobs SET result = '1' WHERE job_id = '{changed}'")
    rows = {fault.row for fault in (await verified(here.database)).faults}
    assert rows == {f"{unreadable}, seq 1", changed}


async def test_bytes_do_not_move_between_a_salt_and_its_text(here: Node) -> None:
    job_id = await trip(here)
    steps = sa.select(tables.events).where(tables.events.c.type == "CHECKPOINT_SAVED")
    [row] = await fetch(here.database, steps)
    event = sa.update(tables.events).where(tables.events.c.id == row["id"])
    await execute(here.database, event.values(document_salt=row["document_salt"] + b"{"))
    assert "document salt has 17 bytes" in (await faults_of(here.database, job_id))[0]


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


async def erase(database: Database, job_id: str, type: str) -> Any:
    """Erase the actor and the data of the events of a type. Returns the last row as it was."""
    log = tables.events.c.job_id == job_id, tables.events.c.type == type
    rows = await fetch(database, sa.select(tables.events).where(*log).order_by(tables.events.c.seq))
    for row in rows:
        erased = digest_personal(row["salt"], row["actor"], row["data"])
        change = sa.update(tables.events).where(tables.events.c.id == row["id"])
        await execute(database, change.values(actor="", data=None, salt=None, erased=erased))
    return rows[-1]


async def test_answers_and_steps_of_a_retried_job_are_verified(here: Node) -> None:
    old = await get_job(here.database, await trip(here))
    kept = await here.database.jobs.list_kept_answers(old.job_id)
    steps = await here.database.jobs.list_kept_checkpoints(old.job_id)
    plan = replace(plan_retry(old, Keep.ALL), answers=tuple(kept), checkpoints=tuple(steps))
    job = (await here.do(repeat_job(old, plan, CLIENT, "again"))).job
    job = await here.lease(job, await here.session())
    assert not (await here.ask(job, "first", question(title="Send it now?"))).is_open
    assert await faults_of(here.database, job.job_id) == []
    answers = sa.update(tables.answers).where(tables.answers.c.job_id == job.job_id)
    await execute(here.database, answers.values(answer='{"answer_id":"good"}'))
    assert "good" in (await faults_of(here.database, job.job_id))[0]


async def test_erased_personal_data_leaves_the_chain_whole(here: Node) -> None:
    job_id = await trip(here)
    row = await erase(here.database, job_id, "PROMPT_ANSWERED")
    assert await faults_of(here.database, job_id) == []
    event = sa.update(tables.events).where(tables.events.c.id == row["id"])
    answers, prompts = sa.update(tables.answers), sa.update(tables.prompts)
    good = answers.where(tables.answers.c.answer_id == "good")
    await execute(here.database, good.values(answer=ERASED))
    assert "good" in (await faults_of(here.database, job_id))[0]  # the resolution still has it
    await execute(here.database, prompts.values(response_data=ERASED))
    assert "resolution" in (await faults_of(here.database, job_id))[0]  # nothing says that it was erased
    await execute(here.database, event.values(document_salt=None))
    assert await faults_of(here.database, job_id) == []
    await execute(here.database, event.values(state="FAILED"))
    assert "seq 6" in (await faults_of(here.database, job_id))[0]


@pytest.mark.parametrize(
    ("column", "value"), [("actor", "eve"), ("data", '{"answer_id":"x"}'), ("salt", bytes(16))]
)
async def test_an_erasure_puts_nothing_in_the_place_of_what_it_erases(
    here: Node, column: str, value: object
) -> None:
    job_id = await trip(here)
    row = await erase(here.database, job_id, "PROMPT_ANSWERED")
    event = sa.update(tables.events).where(tables.events.c.id == row["id"])
    await execute(here.database, event.values({column: value}))
    assert "it was erased" in (await faults_of(here.database, job_id))[0]


async def test_an_erased_document_cannot_be_replaced(here: Node) -> None:
    job_id = await trip(here)
    await execute(here.database, sa.update(tables.events).values(document_salt=None))
    faults = await faults_of(here.database, job_id)
    assert {fault.split()[0] for fault in faults} == {
        "hitl_interactions",
        "hitl_answers",
        "job_checkpoints",
        "jobs",
    }


async def test_events_of_a_version_without_the_chain_are_counted_not_refused(here: Node) -> None:
    session = await here.session()
    job = await here.lease(await here.create(), session)
    await execute(here.database, "UPDATE job_events SET hash = NULL, salt = NULL")
    await execute(here.database, "UPDATE jobs SET chain = NULL")
    here.engine.hot.drop(job.job_id)
    prompt = await here.ask(job, "first", question())
    await here.answer(prompt)
    report = await verified(here.database)
    assert (report.faults, report.notes.unlinked) == ([], 2)


def checkpoints(database: Database) -> Checkpoints:
    return Checkpoints(database.checkpoints, DatabaseClock(SystemClock()), str)


async def verified(database: Database, **flags: object) -> Report:
    flags = {"namespace": "default", **flags}
    return await database._dialect.run(
        lambda connection: verify_stored(AuditReads(connection), flags=flags, keys=[])
    )


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


async def test_each_command_has_its_own_salt(here: Node) -> None:
    await trip(here)
    rows = await fetch(here.database, sa.select(tables.events.c.command_id, tables.events.c.salt))
    salts = {row["command_id"]: row["salt"] for row in rows}
    documents = await fetch(here.database, sa.select(tables.events.c.document_salt, tables.events.c.salt))
    assert not {row["document_salt"] for row in documents} & {row["salt"] for row in documents}
    assert len(set(salts.values())) == len(salts) == len({(r["command_id"], r["salt"]) for r in rows})
    assert {len(salt) for salt in salts.values()} == {16}


async def test_a_resolution_is_recorded_by_the_event_that_closes_its_prompt(here: Node) -> None:
    job = await here.lease(await here.create(), await here.session())
    prompt = await here.ask(job, "first", question())
    await here.answer(prompt)
    acknowledge = c.AcknowledgePrompts(
        principal=WORKER, job_id=job.job_id, token=job.token, prompt_ids=(prompt.prompt_id,)
    )
    await here.do(acknowledge)
    rows = await fetch(here.database, sa.select(tables.events.c.type, tables.events.c.documents))
    recorded = {row["type"]: len(row["documents"] or b"") for row in rows}
    assert (recorded["PROMPT_ANSWERED"], recorded["PROMPT_CONSUMED"]) == (33, 0)
