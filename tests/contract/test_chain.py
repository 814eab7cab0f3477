"""The hash chain of a job's events: what is changed in the database is found, and the wrong row is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from askback_server.domain import commands as c
from askback_server.domain.chain import ERASED
from askback_server.domain.retries import Keep
from askback_server.domain.retry_rules import plan_retry, repeat_job
from askback_server.storage import tables
from tests.support.aggregates import CLIENT, WORKER, question
from tests.support.audited_jobs import erase, trip, verified
from tests.support.storage import Node, execute, faults_of, fetch, get_job

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


async def test_rows_may_be_missing_while_a_job_is_deleted_in_steps(here: Node) -> None:
    job_id = await trip(here)
    await execute(here.database, "DELETE FROM hitl_answers")
    assert await faults_of(here.database, job_id) != []
    past = await here.database.ping() - timedelta(hours=1)
    await execute(here.database, sa.update(tables.jobs).values(purge_at=past))
    await execute(here.database, "DELETE FROM job_checkpoints")
    assert await faults_of(here.database, job_id) == []


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


async def test_answers_and_steps_of_a_retried_job_are_verified(here: Node) -> None:
    old = await get_job(here.database, await trip(here))
    kept = await here.database.jobs.list_kept_answers(old.job_id)
    steps = await here.database.jobs.list_kept_checkpoints(old.job_id)
    plan = replace(plan_retry(old, Keep.ALL), answers=tuple(kept), checkpoints=tuple(steps))
    job = (await here.do(repeat_job(old, plan, CLIENT, "again"))).job
    job = await here.lease(job, await here.session())
    asked = here.ask_command(job, "first", question(title="Send it right now?"))
    assert not (await here.do(replace(asked, same=True))).prompt.is_open
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
