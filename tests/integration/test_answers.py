"""AnswerPrompt and ListAnswers: every result with its status, replays, and the audit."""

from typing import Any

import pytest

from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2 as prompts
from tests.support.refusals import expect_refusal
from tests.support.requests import (
    ACCEPT,
    COMPLETED,
    EDIT,
    REJECT,
    RESPOND,
    REVISE,
    answer,
    confirm,
    form,
    seconds,
)
from tests.support.service import ServiceWorld
from tests.support.streams import ABSENT_ID

EXACT = '{"why": "é\\u00e9",  "n": 9007199254740993}'


async def test_the_values_of_an_answer_are_stored_exactly(world: ServiceWorld) -> None:
    prompt = await world.create_prompt(form())
    said = answer(prompt, "a", RESPOND, values_json=EXACT, comment="so be it")
    result = (await world.hitl.AnswerPrompt(said)).result
    assert (result.status, result.replayed, result.answer_id) == (prompts.ANSWER_STATUS_ACCEPTED, False, "a")
    assert result.prompt.state == prompts.PROMPT_STATE_ANSWERED
    given = result.prompt.resolution.answer
    assert given.values_json == EXACT
    assert (given.user_id, given.source, given.comment) == ("ada", prompts.ANSWER_SOURCE_HUMAN, "so be it")
    assert (await world.prompt(prompt.prompt_id)).resolution.answer == given
    [record] = (await world.hitl.ListAnswers(pb.ListAnswersRequest(prompt_id=prompt.prompt_id))).answers
    assert record.answer == given
    job = await world.job(prompt.job_id)
    assert job.state == COMPLETED
    assert EXACT in job.result_json


async def test_a_repeated_answer_id_returns_the_first_result(world: ServiceWorld) -> None:
    prompt = await world.create_prompt(form())
    invalid = answer(prompt, "bad", RESPOND, values_json='{"n": "x"}')
    stale = answer(prompt, "old", RESPOND, revision=7, values_json='{"n": 1}')
    right = answer(prompt, "good", RESPOND, values_json='{"n": 1}')
    late = answer(prompt, "late", RESPOND, values_json='{"n": 2}')
    expected = [
        (invalid, "INVALID_ARGUMENT", "ANSWER_INVALID", prompts.ANSWER_STATUS_INVALID),
        (stale, "ABORTED", "PROMPT_STALE", prompts.ANSWER_STATUS_STALE),
        (right, "", "", prompts.ANSWER_STATUS_ACCEPTED),
        (late, "FAILED_PRECONDITION", "PROMPT_CLOSED", prompts.ANSWER_STATUS_CLOSED),
    ]
    for replayed in (False, True):
        for said, code, reason, status in expected:
            if code:
                result = (await expect_refusal(world.hitl.AnswerPrompt(said), code, reason)).result
                assert result is not None
            else:
                result = (await world.hitl.AnswerPrompt(said)).result
            assert (result.status, result.replayed, result.answer_id) == (status, replayed, said.answer_id)
            assert result.prompt.prompt_id == prompt.prompt_id
    audit = (await world.hitl.ListAnswers(pb.ListAnswersRequest(prompt_id=prompt.prompt_id))).answers
    assert [(r.answer.answer_id, r.status) for r in audit] == [
        (s.answer_id, status) for s, _, _, status in expected
    ]
    assert [v.field for v in audit[0].violations] == ["values_json/n"]
    assert (await world.prompt(prompt.prompt_id)).submissions == 4


async def test_other_content_under_an_answer_id_is_refused(lite: ServiceWorld) -> None:
    prompt = await lite.create_prompt()
    await expect_refusal(lite.hitl.AnswerPrompt(answer(prompt, "a", revision=9)), "ABORTED", "PROMPT_STALE")
    for again in (answer(prompt, "a"), answer(prompt, "a", revision=9, comment="x")):
        found = await expect_refusal(
            lite.hitl.AnswerPrompt(again), "ALREADY_EXISTS", "ID_REUSED", field="answer_id", value="a"
        )
        assert found.metadata["prompt_id"] == prompt.prompt_id
    other = lite.as_user("bob").hitl.AnswerPrompt(answer(prompt, "a", revision=9))
    await expect_refusal(other, "ALREADY_EXISTS", "ID_REUSED")


async def test_a_losing_answer_reports_the_winner(world: ServiceWorld) -> None:
    prompt = await world.create_prompt()
    bob = world.as_user("bob")
    await bob.hitl.AnswerPrompt(answer(prompt, "first", REJECT))
    found = await expect_refusal(
        world.hitl.AnswerPrompt(answer(prompt, "second")),
        "FAILED_PRECONDITION",
        "PROMPT_CLOSED",
        prompt_id=prompt.prompt_id,
        state="ANSWERED",
    )
    assert found.result is not None
    won = found.result.prompt.resolution
    assert (won.answer.answer_id, won.answer.user_id, won.actor) == ("first", "bob", "bob")


async def test_a_stale_answer_returns_the_current_prompt(world: ServiceWorld) -> None:
    lease = await world.lease_new_job()
    before = await world.ask(lease, "k", confirm("one"))
    after = await world.amend(lease, "k", "two")
    assert (after.prompt_id, after.revision) == (before.prompt_id, 2)
    found = await expect_refusal(
        world.hitl.AnswerPrompt(answer(before)),
        "ABORTED",
        "PROMPT_STALE",
        revision="2",
        prompt_id=before.prompt_id,
    )
    assert found.result is not None
    assert found.result.prompt.content.title == "two"
    assert (await world.hitl.AnswerPrompt(answer(after, "b"))).result.status == prompts.ANSWER_STATUS_ACCEPTED


WRONG: list[tuple[str, Any, dict[str, Any], list[str]]] = [
    ("form", RESPOND, {"values_json": "{}"}, ["values_json/n"]),
    ("form", RESPOND, {"values_json": '{"n": 1.5, "why": 3}'}, ["values_json/n", "values_json/why"]),
    ("form", RESPOND, {"values_json": '{"n": 1, "other": 1}'}, ["values_json/other"]),
    ("form", REJECT, {}, ["decision"]),
    ("confirm", REVISE, {}, ["comment"]),
    ("confirm", REJECT, {"values_json": '{"a": 1}'}, ["values_json"]),
    ("confirm", EDIT, {"edits": [prompts.Edit(content_id="x", text="t")]}, ["decision"]),
    ("preview", EDIT, {"edits": [prompts.Edit(content_id="x", text="t")]}, ["edits[0].content_id"]),
    ("preview", EDIT, {"edits": [prompts.Edit(content_id="fixed", text="t")]}, ["edits[0].content_id"]),
    ("preview", EDIT, {}, ["edits"]),
]


def content_of_kind(kind: str) -> prompts.PromptContent:
    if kind == "form":
        return form()
    parts = [
        prompts.PromptPart(content_id="text", text="old", editable=True),
        prompts.PromptPart(content_id="fixed", text="old"),
    ]
    return confirm(kind=kind, contents=parts)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("kind", "decision", "fields", "wrong"), WRONG)
async def test_an_invalid_answer_names_its_field_and_leaves_the_prompt_open(
    shared_lite: ServiceWorld, kind: str, decision: Any, fields: dict[str, Any], wrong: list[str]
) -> None:
    prompt = await shared_lite.create_prompt(content_of_kind(kind))
    found = await expect_refusal(
        shared_lite.hitl.AnswerPrompt(answer(prompt, "a", decision, **fields)),
        "INVALID_ARGUMENT",
        "ANSWER_INVALID",
        prompt_id=prompt.prompt_id,
    )
    assert sorted(found.violations) == wrong
    assert found.result is not None
    assert sorted(v.field for v in found.result.violations) == wrong
    assert (await shared_lite.prompt(prompt.prompt_id)).state == prompts.PROMPT_STATE_PENDING


async def test_edits_replace_whole_contents(lite: ServiceWorld) -> None:
    prompt = await lite.create_prompt(content_of_kind("preview"))
    edits = [prompts.Edit(content_id="text", text="new")]
    result = (await lite.hitl.AnswerPrompt(answer(prompt, "a", EDIT, edits=edits))).result
    assert list(result.prompt.resolution.answer.edits) == edits


BAD: list[tuple[dict[str, Any], str]] = [
    ({"answer_id": ""}, "answer_id"),
    ({"answer_id": "x" * 201}, "answer_id"),
    ({"answer_id": "a\0"}, "answer_id"),
    ({"revision": 0}, "revision"),
    ({"decision": 0}, "decision"),
    ({"decision": 77}, "decision"),
    ({"comment": "\0"}, "comment"),
    ({"values_json": '"' + "x" * 262_144 + '"'}, "values_json"),
    ({"edits": [prompts.Edit(content_id="a")] * 21}, "edits"),
    ({"prompt_id": ""}, "prompt_id"),
    ({"job_id": ABSENT_ID}, "prompt_id"),
    ({"prompt_id": "", "job_id": ABSENT_ID}, "key"),
    ({"prompt_id": "", "key": "k"}, "job_id"),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("fields", "field"), BAD)
async def test_a_malformed_answer_is_not_recorded(
    shared_lite: ServiceWorld, fields: dict[str, Any], field: str
) -> None:
    prompt = await shared_lite.create_prompt()
    request = answer(prompt)
    for name, value in fields.items():
        if name == "edits":
            request.edits.extend(value)
        else:
            setattr(request, name, value)
    found = await expect_refusal(shared_lite.hitl.AnswerPrompt(request), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert field in found.violations
    assert (await shared_lite.prompt(prompt.prompt_id)).submissions == 0
    assert (
        await shared_lite.hitl.AnswerPrompt(answer(prompt))
    ).result.status == prompts.ANSWER_STATUS_ACCEPTED


async def test_an_answer_may_name_its_prompt_by_job_and_key(lite: ServiceWorld) -> None:
    lease = await lite.lease_new_job()
    asked = await lite.ask(lease, "a key")
    request = answer(asked)
    request.prompt_id, request.job_id, request.key = "", lease.job.job_id, "a key"
    assert (await lite.hitl.AnswerPrompt(request)).result.prompt.prompt_id == asked.prompt_id


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "where", [{"prompt_id": ABSENT_ID}, {"prompt_id": "x"}, {"job_id": ABSENT_ID, "key": "k"}]
)
async def test_answering_an_unknown_prompt_is_not_found(
    shared_lite: ServiceWorld, where: dict[str, str]
) -> None:
    names = dict(where)
    request = pb.AnswerPromptRequest(answer_id="a", revision=1, decision=ACCEPT, **where)
    await expect_refusal(shared_lite.hitl.AnswerPrompt(request), "NOT_FOUND", "PROMPT_NOT_FOUND", **names)
    await expect_refusal(
        shared_lite.hitl.GetPrompt(pb.GetPromptRequest(**where)), "NOT_FOUND", "PROMPT_NOT_FOUND", **names
    )
    await expect_refusal(
        shared_lite.hitl.CancelPrompt(pb.CancelPromptRequest(**where)),
        "NOT_FOUND",
        "PROMPT_NOT_FOUND",
        **names,
    )
    if "prompt_id" in where:
        for call, message in (
            (shared_lite.hitl.ClaimPrompt, pb.ClaimPromptRequest),
            (shared_lite.hitl.ReleasePrompt, pb.ReleasePromptRequest),
            (shared_lite.hitl.ListAnswers, pb.ListAnswersRequest),
        ):
            await expect_refusal(call(message(**where)), "NOT_FOUND", "PROMPT_NOT_FOUND", **names)


async def test_the_audit_of_answers_has_pages(world: ServiceWorld) -> None:
    prompt = await world.create_prompt()
    for i in range(5):
        await expect_refusal(
            world.hitl.AnswerPrompt(answer(prompt, f"a{i}", revision=2)), "ABORTED", "PROMPT_STALE"
        )
    seen, token = [], ""
    while True:
        request = pb.ListAnswersRequest(prompt_id=prompt.prompt_id, page_size=2, page_token=token)
        page = await world.hitl.ListAnswers(request)
        seen += [r.answer.answer_id for r in page.answers]
        token = page.next_page_token
        if not token:
            break
        other = await world.create_prompt()
        foreign = pb.ListAnswersRequest(prompt_id=other.prompt_id, page_token=token)
        await expect_refusal(world.hitl.ListAnswers(foreign), "INVALID_ARGUMENT", "BAD_PAGE_TOKEN")
    assert seen == [f"a{i}" for i in range(5)]
    wrong = pb.ListAnswersRequest(prompt_id=prompt.prompt_id, page_size=-1)
    await expect_refusal(world.hitl.ListAnswers(wrong), "INVALID_ARGUMENT", "INVALID_FIELD")


async def test_the_audit_of_large_answers_has_small_pages(lite: ServiceWorld) -> None:
    prompt = await lite.create_prompt(form())
    large = '{"n": 1, "why": "' + "x" * 60_000 + '"}'
    for i in range(20):
        said = answer(prompt, f"a{i}", RESPOND, revision=2, values_json=large)
        await expect_refusal(lite.hitl.AnswerPrompt(said), "ABORTED", "PROMPT_STALE")
    page = await lite.hitl.ListAnswers(pb.ListAnswersRequest(prompt_id=prompt.prompt_id))
    assert page.ByteSize() < 1024 * 1024
    assert page.next_page_token


async def test_too_many_submissions_are_refused(lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = await lite.create_prompt()
    limits = lite.service.replica.limits
    object.__setattr__(limits, "submissions_per_prompt", 2)
    for name in ("a", "b"):
        await expect_refusal(
            lite.hitl.AnswerPrompt(answer(prompt, name, revision=2)), "ABORTED", "PROMPT_STALE"
        )
    await expect_refusal(
        lite.hitl.AnswerPrompt(answer(prompt, "c")),
        "RESOURCE_EXHAUSTED",
        "LIMIT_EXCEEDED",
        limit="submissions_per_prompt",
        value="2",
    )
    # A replay does not count as another submission.
    await expect_refusal(lite.hitl.AnswerPrompt(answer(prompt, "a", revision=2)), "ABORTED", "PROMPT_STALE")


async def test_a_large_prompt_fits_into_the_status_of_its_answer(lite: ServiceWorld) -> None:
    # Clients limit trailers to 8 KiB: the status includes the result, but may omit its content.
    prompt = await lite.create_prompt(confirm(body="x" * 400_000))
    found = await expect_refusal(
        lite.hitl.AnswerPrompt(answer(prompt, revision=4)), "ABORTED", "PROMPT_STALE"
    )
    assert found.result is not None
    assert found.result.status == prompts.ANSWER_STATUS_STALE
    assert found.result.prompt.revision == 1


async def test_a_claim_keeps_others_from_answering(world: ServiceWorld) -> None:
    prompt = await world.create_prompt()
    bob = world.as_user("bob")
    claimed = (await bob.hitl.ClaimPrompt(pb.ClaimPromptRequest(prompt_id=prompt.prompt_id))).prompt
    assert claimed.claimed_by == "bob"
    assert claimed.claim_expire_time.seconds - claimed.update_time.seconds == 600
    denied = {"prompt_id": prompt.prompt_id, "claimed_by": "bob"}
    claim = pb.ClaimPromptRequest(prompt_id=prompt.prompt_id, duration=seconds(60))
    release = pb.ReleasePromptRequest(prompt_id=prompt.prompt_id)
    for call in (
        world.hitl.AnswerPrompt(answer(prompt)),
        world.hitl.ClaimPrompt(claim),
        world.hitl.ReleasePrompt(release),
    ):
        await expect_refusal(call, "FAILED_PRECONDITION", "PROMPT_CLAIMED", **denied)
    again = (await bob.hitl.ClaimPrompt(claim)).prompt
    assert again.claim_expire_time.seconds - again.update_time.seconds == 60
    free = (await bob.hitl.ReleasePrompt(release)).prompt
    assert not free.claimed_by
    assert not free.HasField("claim_expire_time")
    assert (await world.hitl.ReleasePrompt(release)).prompt == free
    # Nothing was stored under the answer_id that was refused because of the claim.
    assert not (await world.hitl.AnswerPrompt(answer(prompt))).result.replayed
    closed = {"prompt_id": prompt.prompt_id, "state": "ANSWERED"}
    await expect_refusal(world.hitl.ClaimPrompt(claim), "FAILED_PRECONDITION", "PROMPT_CLOSED", **closed)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("duration", [0.5, 86_401, -1])
async def test_a_claim_lasts_a_second_to_a_day(shared_lite: ServiceWorld, duration: float) -> None:
    prompt = await shared_lite.create_prompt()
    request = pb.ClaimPromptRequest(prompt_id=prompt.prompt_id, duration=seconds(duration))
    found = await expect_refusal(shared_lite.hitl.ClaimPrompt(request), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert set(found.violations) == {"duration"}


async def test_cancel_withdraws_an_open_prompt_and_the_job_continues(world: ServiceWorld) -> None:
    lease = await world.lease_new_job()
    prompt = await world.ask(lease, "k")
    request = pb.CancelPromptRequest(job_id=lease.job.job_id, key="k", reason="found out")
    ended = (await world.hitl.CancelPrompt(request)).prompt
    assert ended.state == prompts.PROMPT_STATE_CANCELLED
    assert (ended.resolution.reason, ended.resolution.actor) == ("found out", "ada")
    assert (await world.hitl.CancelPrompt(request)).prompt == ended
    assert (await world.job(lease.job.job_id)).state == 2
    asked = await world.create_prompt()
    await world.hitl.AnswerPrompt(answer(asked))
    await expect_refusal(
        world.hitl.CancelPrompt(pb.CancelPromptRequest(prompt_id=asked.prompt_id)),
        "FAILED_PRECONDITION",
        "PROMPT_CLOSED",
        prompt_id=asked.prompt_id,
        state="ANSWERED",
    )
    long = pb.CancelPromptRequest(prompt_id=prompt.prompt_id, reason="x" * 1001)
    await expect_refusal(world.hitl.CancelPrompt(long), "INVALID_ARGUMENT", "INVALID_FIELD")
