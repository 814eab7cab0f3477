"""Every field of a prompt and its answers is read back as it was written."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from askback_server.domain import documents
from askback_server.domain.answers import AnswerSource
from askback_server.domain.commands import PromptRef
from askback_server.domain.content import (
    Audience,
    PromptContent,
)
from askback_server.domain.decisions import Decision, Edit
from askback_server.domain.forms import (
    BooleanInput,
    DateInput,
    IntegerInput,
    MultiInput,
    NumberInput,
    SchemaForm,
    SingleInput,
    TextInput,
)
from askback_server.domain.json_text import Violation
from askback_server.domain.prompts import AnswerStatus, PromptState, Resolution
from askback_server.ports.clock import uuid7
from askback_server.ports.storage import Wanted
from askback_server.storage import tables
from askback_server.storage.database import Database
from tests.support.full_values import EXACT, every_question, full_content, full_prompt, has_no_defaults
from tests.support.rows import creation, new_job, new_prompt, now, step, submission
from tests.support.storage import LONG, fetch


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
async def test_every_field_of_a_prompt_round_trips(
    database: Database, content: PromptContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise the read returns the object that was written.
    monkeypatch.setattr(documents._contents, "get", lambda text: None)
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
