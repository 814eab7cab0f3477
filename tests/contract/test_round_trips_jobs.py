"""Every field of a job, its events, checkpoints and understanding is read back as it was written."""

from dataclasses import fields, replace

import sqlalchemy as sa

from askback_server.domain.events import EventType
from askback_server.domain.jobs import Checkpoint, DeepUnderstanding, Job, JobState
from askback_server.domain.prompts import PromptState, Resolution
from askback_server.ports.clock import uuid7
from askback_server.ports.storage import Wanted
from askback_server.storage import tables
from askback_server.storage.database import Database
from tests.support.full_values import EXACT, full_job, has_no_defaults
from tests.support.rows import creation, event, new_job, new_prompt, now, step
from tests.support.storage import fetch, get_job


async def test_every_field_of_a_job_round_trips(database: Database) -> None:
    job = full_job()
    assert has_no_defaults(job), "a new field of Job must be given a value here"
    await database.jobs.write([creation(job)])
    assert await get_job(database, job.job_id) == job
    [found] = await database.jobs.load([Wanted(request=("tenant/7", "r/1 ✓"))])
    assert found.job == job


async def test_json_texts_round_trip_byte_for_byte(database: Database) -> None:
    texts = [
        EXACT,
        "1",
        "1e2",
        "-0",
        "1.10",
        "9007199254740993",
        "18446744073709551615",
        '"1"',
        " 1 ",
        "null",
    ]
    jobs = [new_job(input_json=text, result_json=text) for text in texts]
    for job, text in zip(jobs, texts, strict=True):
        point = Checkpoint(job.job_id, "k", text, now())
        await database.jobs.write([creation(job, checkpoints={"k": point})])
        assert await database.jobs.list_checkpoints(job.job_id, 9, "") == [point]
        assert await get_job(database, job.job_id) == job


async def test_a_job_with_default_fields_round_trips(database: Database) -> None:
    job = new_job(state=JobState.PENDING_HITL, ready_at=None)
    await database.jobs.write([creation(job)])
    assert await get_job(database, job.job_id) == job


async def test_every_field_except_those_set_at_creation_can_be_updated(database: Database) -> None:
    job = new_job(input_json="1", request_id="r")
    await database.jobs.write([creation(job)])
    set_at_creation = {
        name: getattr(job, name)
        for name in (
            "job_id",
            "namespace",
            "job_type",
            "user_id",
            "requesters",
            "created_at",
            "input_json",
            "max_attempts",
            "request_id",
            "request_digest",
            "retried_from",
            "root",
            "carried_answers",
            "workerless",
            "timeout",
            "expires_at",
            "run_timeout",
        )
    }
    target = replace(full_job(), **set_at_creation)
    write = step(job, **{f.name: getattr(target, f.name) for f in fields(Job) if f.name != "version"})
    assert not (await database.jobs.write([write])).lost
    assert await get_job(database, job.job_id) == write.job
    back = step(write.job, **{f.name: getattr(job, f.name) for f in fields(Job) if f.name != "version"})
    assert not (await database.jobs.write([back])).lost
    assert await get_job(database, job.job_id) == back.job


async def test_the_column_progress_percent_has_the_percentage_of_the_progress(database: Database) -> None:
    job = full_job()
    await database.jobs.write([creation(job)])
    [row] = await fetch(database, sa.select(tables.jobs.c.progress_percent))
    assert row["progress_percent"] == 12.5


async def test_checkpoints_are_stored_replaced_and_listed_by_key(database: Database) -> None:
    job = new_job()
    # Ordered by code point, like UTF-8 bytes and unlike a locale or UTF-16.
    keys = ["A", "B", "a", "b", "é", "ﬀ", "🦊"]
    written = {k: Checkpoint(job.job_id, k, EXACT, now()) for k in reversed(keys)}
    await database.jobs.write([creation(job, checkpoints=written)])
    assert await database.jobs.list_checkpoints(job.job_id, 100, "") == [written[k] for k in keys]
    again = Checkpoint(job.job_id, "b", "[ 2 ]", now())
    write = step(job)
    write.checkpoints["b"] = again
    await database.jobs.write([write])
    assert await database.jobs.list_checkpoints(job.job_id, 2, "a") == [again, written["é"]]


async def test_every_field_of_an_understanding_round_trips(database: Database) -> None:
    job = new_job(understanding_version=1)
    state = DeepUnderstanding(job.job_id, EXACT, "[ 1 ]", "[2]", "Größe", "🦊", 0.75, True, 1, now())
    assert has_no_defaults(state)
    await database.jobs.write([creation(job, understanding=state)])
    assert await database.jobs.get_understanding(job.job_id) == state
    other = DeepUnderstanding(job.job_id, version=2, updated_at=now())
    write = step(job, understanding_version=2)
    write.understanding = other
    await database.jobs.write([write])
    [found] = await database.jobs.load([Wanted(job_id=job.job_id)])
    assert found.understanding == other
    assert await database.jobs.get_understanding(uuid7()) is None


async def test_every_field_of_an_event_round_trips(database: Database) -> None:
    job = new_job(namespace="n/1", state=JobState.PENDING_HITL, version=2)
    data = {"z": 1, "a": [2**60, None, {"é": "🦊"}]}
    first = event(job, EventType.JOB_CREATED, seq=1, actor="Zoë")
    second = event(job, EventType.PROMPT_ASKED, seq=2, prompt_id=uuid7(), data=data)
    write = creation(job)
    write.events = [first, second]
    await database.jobs.write([write])
    assert await database.jobs.list_events(job.job_id, 0, 10) == [first, second]
    assert await database.jobs.list_events(job.job_id, 1, 10) == [second]
    assert await database.jobs.list_events(job.job_id, 0, 1) == [first]
    [row] = await fetch(database, sa.select(tables.events.c.data).where(tables.events.c.seq == 2))
    assert row["data"].startswith('{"z":1,"a":[1152921504606846976')


async def test_load_returns_the_wanted_aggregates_in_order(database: Database) -> None:
    job, other = new_job(request_id="r"), new_job(namespace="n2", request_id="r")
    done = [replace(new_prompt(job, round=i), key=f"k{i}") for i in (1, 2, 3)]
    open_one = new_prompt(job, round=4)
    ended = Resolution(PromptState.EXPIRED, "system", now())
    done = [replace(p, state=PromptState.EXPIRED, resolution=ended) for p in done]
    await database.jobs.write([creation(job, *done, open_one), creation(other)])
    found = await database.jobs.load(
        [
            Wanted(job_id=uuid7()),
            Wanted(job_id=job.job_id, prompt_ids={done[1].prompt_id}, keys={"k3", "none"}),
            Wanted(request=("n2", "r")),
            Wanted(request=("n2", "none")),
            Wanted(),
        ]
    )
    assert [a.job for a in found] == [None, job, other, None, None]
    # The first round is read too, because the reply to a repeated request contains it.
    assert found[1].prompts == {p.prompt_id: p for p in (*done, open_one)}
    assert found[2].prompts == {}
    assert await database.jobs.load([]) == []
