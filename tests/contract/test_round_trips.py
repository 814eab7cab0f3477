"""Everything that is written about a job is read back unchanged."""

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain.commands import PromptRef
from askback_server.domain.content import (
    Audience,
    DefaultAnswer,
    EscalationStep,
    FinalAction,
    Part,
    PromptContent,
    Reminders,
)
from askback_server.domain.decisions import Decision, DecisionOption, Edit
from askback_server.domain.events import EventType
from askback_server.domain.forms import (
    BooleanInput,
    DateInput,
    Input,
    IntegerInput,
    MultiInput,
    NumberInput,
    Option,
    Question,
    Questions,
    SchemaForm,
    SingleInput,
    TextInput,
)
from askback_server.domain.jobs import Checkpoint, DeepUnderstanding, Failure, Job, JobState, Progress, Wake
from askback_server.domain.json_text import Violation
from askback_server.domain.nudges import Nudges
from askback_server.domain.prompts import AnswerSource, AnswerStatus, Prompt, PromptState, Resolution
from askback_server.ports.clock import uuid7
from askback_server.ports.storage import Wanted
from askback_server.storage import tables
from askback_server.storage.database import Database
from tests.support.storage import (
    LONG,
    creation,
    event,
    fetch,
    get_job,
    new_job,
    new_prompt,
    now,
    step,
    submission,
)

EXACT = (
    '{ "z": 1, "a" : 9007199254740993, "m":[18446744073709551615, -9223372036854775808, 1.10e2],'
    ' "é":"\\u00e9" }'
)
"""JSON whose key order, white space, large numbers and escapes must be kept byte for byte."""


def full_job() -> Job:
    """A job whose fields all differ from their defaults."""
    at = now()
    return new_job(
        namespace="tenant/7",
        job_type="refund.v2",
        user_id="Zoë 🦊",
        state=JobState.FAILED,
        created_at=at - LONG,
        updated_at=at,
        input_json=EXACT,
        result_json=EXACT,
        failure=Failure("E_42", "nein 🦊", EXACT),
        progress=Progress(3, 2**53, 12.5, "drei"),
        priority=-7,
        labels={"b": "1", 'a"\\': "zwei", "ü": ""},
        promoted=True,
        attempt=4,
        max_attempts=9,
        rounds=2,
        open_prompts=1,
        open_blocking=1,
        version=2**40,
        token=2**41,
        ready_at=at + LONG,
        session_id=uuid7(),
        worker_id="w-1",
        holder="wanda",
        completed_at=at,
        cancel_requested_at=at - LONG,
        cancel_at=at + LONG,
        cancel_reason="enough",
        cancelled_by="Zoë",
        retention=timedelta(seconds=90.25),
        purge_at=at + LONG,
        timeout=timedelta(seconds=7.5),
        expires_at=at + LONG,
        run_timeout=timedelta(seconds=5.25),
        run_until=at + LONG,
        run_left=timedelta(seconds=1.25),
        wake=Wake.DUE,
        stalled_at=at - LONG,
        unreceived=2,
        request_id="r/1 ✓",
        request_digest="d",
        retried_from=uuid7(),
        root=uuid7(),
        workerless=True,
        carried_answers=3,
        checkpoints=17,
        understanding_version=3,
    )


def every_question() -> Questions:
    options = (Option("a", "A", "first", True), Option("b"))
    inputs: list[Input] = [
        BooleanInput(default=True),
        SingleInput(options, default="b", allow_other=True),
        MultiInput(options, default=("b", "a"), min_items=1, max_items=2, allow_other=True),
        TextInput("x", 1, 2**31, "[a-z]+", True),
        IntegerInput(2**53 + 1, -(2**63), 2**63 - 1),
        NumberInput(0.1, -1e300, 1e300),
        DateInput("2024-02-29", "2024-01-01", "2024-12-31"),
    ]
    return Questions(
        tuple(
            Question(
                question_id=f"q{i}", title=f"T{i}", input=one, help="h", required=i % 2 == 0, rationale="r"
            )
            for i, one in enumerate(inputs)
        )
    )


def full_content(**changed: Any) -> PromptContent:
    content = PromptContent(
        kind="preview",
        title="Größe? 🦊",
        body="# Body\n\nline",
        parts=(Part("diff", "Diff", "text/x-diff", "-a\n+b", "", True), Part("doc", url="https://x.y/z")),
        form=every_question(),
        decisions=(DecisionOption(Decision.ACCEPT, "Ja", True), DecisionOption(Decision.EDIT, "Anders")),
        priority=11,
        audience=Audience(frozenset({"ann", "bob"}), frozenset({"law", "ops"})),
        labels={"region": "eu", "a.b": "c"},
        blocking=False,
        final_action=FinalAction.DEFAULT,
        default_answer=DefaultAnswer(Decision.ACCEPT, '{"q1": 9007199254740993}', "late"),
        metadata_json=EXACT,
        timeout=timedelta(seconds=1.5),
        escalation=(
            EscalationStep(timedelta(seconds=1), Audience(frozenset({"cid"})), raise_priority=3),
            EscalationStep(timedelta(seconds=1.25), Audience(groups=frozenset({"ops"})), replace=True),
        ),
        reminders=Reminders(timedelta(seconds=1), timedelta(seconds=0.5), 2),
    )
    return replace(content, **changed)


def full_prompt(job: Job, **changed: Any) -> Prompt:
    at = now()
    return new_prompt(
        job,
        full_content(),
        key="k ✓",
        round=2,
        revision=3,
        version=2**40,
        claimed_by="ann",
        claimed_until=at + LONG,
        consumed_at=at,
        submissions=4,
        nudges=Nudges(1, at + LONG, 2, at, at + 2 * LONG),
        unattended_since=at,
        same_digest="d2",
        requested_by="carl",
        **changed,
    )


def has_no_defaults(value: Any) -> bool:
    """Whether every field of a dataclass has a value other than an empty one."""
    blank = {f.name for f in fields(value) if getattr(value, f.name) in ("", None, 0, False, {}, ())}
    return not blank


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
    birth = {
        name: getattr(job, name)
        for name in (
            "job_id",
            "namespace",
            "job_type",
            "user_id",
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
    target = replace(full_job(), **birth)
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


@pytest.mark.parametrize(
    "content",
    [
        full_content(),
        full_content(
            form=SchemaForm('{"type":"object","properties":{"z":{},"a":{"const":9007199254740993}}}')
        ),
        full_content(audience=Audience(users=frozenset({"ann"})), form=None),
        full_content(audience=Audience(groups=frozenset({"law"})), parts=()),
        PromptContent("confirm", "Go on?"),
    ],
    ids=["questions", "schema", "users", "groups", "bare"],
)
async def test_every_field_of_a_prompt_round_trips(database: Database, content: PromptContent) -> None:
    job = new_job()
    prompt = replace(full_prompt(job), content=content, digest=content.digest)
    await database.jobs.write([creation(job, prompt)])
    assert await database.jobs.find_prompt(PromptRef(prompt_id=prompt.prompt_id)) == prompt
    assert await database.jobs.find_prompt(PromptRef(job_id=job.job_id, key=prompt.key)) == prompt
    assert await database.jobs.get_prompts([prompt.prompt_id, uuid7()]) == [prompt]
    [found] = await database.jobs.load([Wanted(job_id=job.job_id)])
    assert found.prompts == {prompt.prompt_id: prompt}


def test_the_sample_prompt_sets_every_field() -> None:
    prompt = full_prompt(new_job())
    assert has_no_defaults(replace(prompt, resolution=Resolution(PromptState.EXPIRED, "s", now())))
    # A deadline is stored as a timeout.
    assert has_no_defaults(replace(prompt.content, blocking=True, deadline=now()))
    assert {type(q.input) for q in every_question().questions} == {
        BooleanInput,
        SingleInput,
        MultiInput,
        TextInput,
        IntegerInput,
        NumberInput,
        DateInput,
    }


async def test_a_resolution_and_its_answer_round_trip(database: Database) -> None:
    job = new_job()
    prompt = full_prompt(job)
    answer = submission(
        prompt,
        "answer ✓",
        decision=Decision.EDIT,
        values_json=EXACT,
        edits=(Edit("diff", "-a\n+c"),),
        comment="Größe",
        source=AnswerSource.TIMEOUT_DEFAULT,
        user_id="Zoë",
        revision=3,
    ).answer
    await database.jobs.write([creation(job, prompt)])
    ended = replace(
        prompt,
        state=PromptState.ANSWERED,
        claimed_by="",
        claimed_until=None,
        resolution=Resolution(PromptState.ANSWERED, "Zoë", now(), "because", answer),
    )
    write = step(job)
    write.changed_prompts[prompt.prompt_id] = (ended, False)
    assert not (await database.jobs.write([write])).lost
    assert await database.jobs.find_prompt(PromptRef(prompt_id=prompt.prompt_id)) == ended


async def test_content_is_rewritten_only_when_the_prompt_is_amended(
    database: Database,
) -> None:
    job = new_job()
    prompt = full_prompt(job)
    await database.jobs.write([creation(job, prompt)])
    other = PromptContent("confirm", "Other?", timeout=timedelta(hours=2))
    amended = replace(
        prompt,
        content=other,
        digest=other.digest,
        revision=4,
        version=2**40 + 1,
        expires_at=now() + LONG,
    )
    for written, expected in ((False, prompt.content), (True, other)):
        write = step(job)
        write.changed_prompts[prompt.prompt_id] = (amended, written)
        assert not (await database.jobs.write([write])).lost
        job = write.job
        found = await database.jobs.find_prompt(PromptRef(prompt_id=prompt.prompt_id))
        assert found is not None
        assert (found.content, found.revision) == (expected, 4)
    assert found == amended
    [row] = await fetch(database, sa.select(tables.prompts))
    assert (row["interaction_type"], row["priority"], row["blocking"]) == ("confirm", 0, True)
    assert (row["audience"], row["metadata"], row["labels"]) == (None, None, "{}")


async def test_submissions_of_every_status_round_trip(database: Database) -> None:
    job = new_job()
    prompt = full_prompt(job)
    wrong = (Violation("values_json/q1", "must be 1"), Violation("comment", "is required: größer"))
    kept = [
        submission(prompt, "a1", seq=1, values_json=EXACT, edits=(Edit("diff", "x\n"),), comment="ok"),
        submission(
            prompt, "a2", seq=2, status=AnswerStatus.INVALID, values_json="{no json", violations=wrong
        ),
        submission(prompt, "a3", seq=3, status=AnswerStatus.STALE, values_json="[1,2", revision=2),
        submission(prompt, "a4", seq=4, status=AnswerStatus.CLOSED, decision=Decision.REJECT, user_id="bob"),
        submission(prompt, "a5 ✓", seq=5, status=AnswerStatus.RECORDED, values_json=" [ 1 , 2 ] "),
    ]
    await database.jobs.write([creation(job, prompt, submissions=kept[:2])])
    write = step(job)
    write.submissions += kept[2:]
    await database.jobs.write([write])
    assert await database.jobs.list_submissions(prompt.prompt_id, 10, 0) == kept
    assert await database.jobs.list_submissions(prompt.prompt_id, 2, 1) == kept[1:3]
    wanted = Wanted(job_id=job.job_id, submissions={(prompt.prompt_id, "a2"), (prompt.prompt_id, "none")})
    [found] = await database.jobs.load([wanted])
    assert found.submissions == {(prompt.prompt_id, "a2"): kept[1]}


async def test_the_values_of_an_answer_round_trip_byte_for_byte(database: Database) -> None:
    job = new_job()
    prompt = new_prompt(job)
    texts = ["", EXACT, '"text"', "[]", "{no json", " {} ", "9007199254740993", "null,", "-0", "1E2"]
    sent = [submission(prompt, f"a{i}", seq=i, values_json=text) for i, text in enumerate(texts, 1)]
    await database.jobs.write([creation(job, prompt, submissions=sent)])
    found = await database.jobs.list_submissions(prompt.prompt_id, 100, 0)
    assert [s.answer.values_json for s in found] == texts


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
