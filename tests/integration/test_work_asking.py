"""A job asks over its stream: resolutions, several questions, late answers, checkpoints and leases."""

from typing import Any

import pytest

from askback.v1 import hitl_service_pb2 as hpb
from askback.v1 import job_service_pb2 as jpb
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as pb
from tests.support.refusals import expect_refusal
from tests.support.requests import PENDING_HITL, REJECT, RESPOND, RUNNING, answer, confirm, form
from tests.support.service import ServiceWorld
from tests.support.streams import ABSENT_ID, Worker


def of(leased: Any, **fields: Any) -> dict[str, Any]:
    return {"job_id": leased.job.job_id, "token": leased.token, **fields}


def ask(leased: Any, key: str, content: Any = None, **fields: Any) -> pb.AskPromptRequest:
    return pb.AskPromptRequest(**of(leased, key=key, content=content or confirm(), **fields))


async def working(world: ServiceWorld) -> tuple[Worker, Any]:
    """A worker with one job."""
    worker = world.worker()
    await worker.hello()
    await world.create()
    return worker, await worker.next_job()


async def test_a_job_asks_gets_its_answer_and_continues(world: ServiceWorld) -> None:
    worker, leased = await working(world)
    asked = await worker.ask(ask_prompt=ask(leased, "k", form()))
    assert not asked.replayed
    assert (asked.prompt.key, asked.prompt.round, asked.prompt.revision) == ("k", 1, 1)
    assert (await world.job(leased.job.job_id)).state == PENDING_HITL
    text = '{"why": "", "n": 9007199254740993}'
    await world.hitl.AnswerPrompt(answer(asked.prompt, "a", RESPOND, values_json=text))
    told = await worker.expect("prompt_resolved")
    assert not told.late_answer
    assert told.prompt.resolution.answer.values_json == text
    assert (await world.job(leased.job.job_id)).state == RUNNING
    confirmed = pb.AcknowledgePromptsRequest(**of(leased, prompt_ids=[asked.prompt.prompt_id]))
    first = await worker.ask(acknowledge_prompts=confirmed)
    again = await worker.ask(acknowledge_prompts=confirmed)
    assert again.version == first.version
    assert (await world.prompt(asked.prompt.prompt_id)).HasField("consume_time")
    repeated = await worker.ask(ask_prompt=ask(leased, "k", form()))
    assert repeated.replayed
    assert repeated.prompt.resolution == told.prompt.resolution


async def test_a_job_may_ask_several_questions_at_once(lite: ServiceWorld) -> None:
    worker, leased = await working(lite)
    await worker.send(*(pb.WorkClientFrame(ref=i, ask_prompt=ask(leased, f"k{i}")) for i in (1, 2, 3)))
    asked = {}
    for _ in range(3):
        frame = await worker.frame()
        asked[frame.ref] = frame.ask_prompt.prompt
    assert [asked[i].round for i in (1, 2, 3)] == [1, 2, 3]
    job = await lite.job(leased.job.job_id)
    assert (job.state, job.open_prompts, job.open_blocking_prompts, job.rounds) == (PENDING_HITL, 3, 3, 3)
    for i, state in ((2, PENDING_HITL), (3, PENDING_HITL), (1, RUNNING)):
        await lite.hitl.AnswerPrompt(answer(asked[i]))
        assert (await worker.expect("prompt_resolved")).prompt.prompt_id == asked[i].prompt_id
        assert (await lite.job(leased.job.job_id)).state == state


async def test_other_content_amends_an_open_prompt_and_is_refused_on_a_closed_one(
    world: ServiceWorld,
) -> None:
    worker, leased = await working(world)
    first = (await worker.ask(ask_prompt=ask(leased, "k", confirm("one")))).prompt
    second = await worker.ask(ask_prompt=ask(leased, "k", confirm("two")))
    assert not second.replayed
    assert (second.prompt.prompt_id, second.prompt.revision) == (first.prompt_id, 2)
    await world.hitl.AnswerPrompt(answer(second.prompt))
    await worker.expect("prompt_resolved")
    found = await worker.ask_refused(
        "ALREADY_EXISTS", "ID_REUSED", ask_prompt=ask(leased, "k", confirm("three"))
    )
    assert found.metadata["field"] == "key"
    assert found.metadata["value"] == "k"
    assert found.metadata["prompt_id"] == first.prompt_id


async def test_a_prompt_supersedes_others(world: ServiceWorld) -> None:
    worker, leased = await working(world)
    old = (await worker.ask(ask_prompt=ask(leased, "old"))).prompt
    await worker.send(
        pb.WorkClientFrame(ref=1, ask_prompt=ask(leased, "new", confirm("new"), supersedes_keys=["old"]))
    )
    names = {(await worker.frame()).WhichOneof("body") for _ in range(2)}
    assert names == {"ask_prompt", "prompt_resolved"}
    assert (await world.prompt(old.prompt_id)).state == prompts.PROMPT_STATE_SUPERSEDED
    missing = ask(leased, "newer", confirm("newer"), supersedes_keys=["nothing"])
    await worker.ask_refused("NOT_FOUND", "PROMPT_NOT_FOUND", ask_prompt=missing)


async def test_the_worker_learns_of_a_withdrawn_prompt(lite: ServiceWorld) -> None:
    worker, leased = await working(lite)
    prompt = (await worker.ask(ask_prompt=ask(leased, "k"))).prompt
    await lite.hitl.CancelPrompt(hpb.CancelPromptRequest(prompt_id=prompt.prompt_id, reason="never mind"))
    told = (await worker.expect("prompt_resolved")).prompt.resolution
    assert (told.state, told.reason) == (prompts.PROMPT_STATE_CANCELLED, "never mind")


async def test_a_late_answer_is_sent_to_the_job(lite: ServiceWorld) -> None:
    worker, leased = await working(lite)
    prompt = (await worker.ask(ask_prompt=ask(leased, "k"))).prompt
    await lite.hitl.AnswerPrompt(answer(prompt, "first", REJECT))
    await worker.expect("prompt_resolved")
    await expect_refusal(
        lite.hitl.AnswerPrompt(answer(prompt, "late")), "FAILED_PRECONDITION", "PROMPT_CLOSED"
    )
    told = await worker.expect("prompt_resolved")
    assert told.late_answer
    assert told.prompt.resolution.answer.answer_id == "first"
    await worker.nothing_more()


NO_TYPE = prompts.Question(question_id="q", title="t")
TWICE = [prompts.PromptPart(content_id="a")] * 2
MANY = prompts.Audience(users=[f"u{i}" for i in range(101)])
NO_DECISION: Any = [prompts.DecisionOption(decision=99)]  # type: ignore[arg-type]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"key": ""}, "key"),
    ({"key": "x" * 201}, "key"),
    ({"key": "\0"}, "key"),
    ({"content": None}, "content"),
    ({"content": prompts.PromptContent(title="t")}, "content.kind"),
    ({"content": confirm("a\nb")}, "content.title"),
    ({"content": confirm("x" * 501)}, "content.title"),
    ({"content": confirm(body="x" * 524_289)}, "content.body"),
    ({"content": confirm(priority=1001)}, "content.priority"),
    ({"content": confirm(labels={f"{i}": "" for i in range(33)})}, "content.labels"),
    ({"content": confirm(metadata_json="{")}, "content.metadata_json"),
    ({"content": confirm(audience=MANY)}, "content.audience.users"),
    ({"content": confirm(contents=TWICE)}, "content.contents[1].content_id"),
    ({"content": confirm(final_action=prompts.FINAL_ACTION_DEFAULT)}, "content.default_answer"),
    ({"content": confirm(final_action=9)}, "content.final_action"),
    ({"content": confirm(schema_json='{"type": "array"}')}, "content.schema_json"),
    ({"content": confirm(decisions=NO_DECISION)}, "content.decisions[0].decision"),
    (
        {"content": confirm(questions=prompts.QuestionForm(questions=[NO_TYPE]))},
        "content.questions.questions[0].input",
    ),
    ({"supersedes_keys": ["\0"]}, "supersedes_keys"),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("fields", "field"), WRONG, ids=[f"{i}-{f}" for i, (_, f) in enumerate(WRONG)])
async def test_a_wrong_question_is_refused_field_by_field(
    shared_lite: ServiceWorld, fields: dict[str, Any], field: str
) -> None:
    lease = await shared_lite.lease_new_job()
    request = ask(lease, "k")
    for name, value in fields.items():
        if name == "supersedes_keys":
            request.supersedes_keys.extend(value)
        elif name == "content":
            request.ClearField("content")
            if value is not None:
                request.content.CopyFrom(value)
        else:
            setattr(request, name, value)
    found = await expect_refusal(shared_lite.workers.AskPrompt(request), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert field in found.violations, found.violations
    assert (await shared_lite.job(lease.job.job_id)).rounds == 0


async def test_too_many_questions_in_a_form_are_refused(lite: ServiceWorld) -> None:
    lease = await lite.lease_new_job()
    maximum = lite.service.replica.limits.forms.max_questions
    questions = [
        prompts.Question(question_id=f"q{i}", title="t", boolean=prompts.BooleanInput())
        for i in range(maximum + 1)
    ]
    content = confirm(questions=prompts.QuestionForm(questions=questions))
    found = await expect_refusal(
        lite.workers.AskPrompt(ask(lease, "k", content)), "INVALID_ARGUMENT", "INVALID_FIELD"
    )
    assert str(maximum) in str(found.violations)


async def test_the_open_prompts_of_a_job_are_limited(lite: ServiceWorld) -> None:
    worker, leased = await working(lite)
    for start in (0, 32):
        await worker.send(
            *(
                pb.WorkClientFrame(ref=i + 1, ask_prompt=ask(leased, f"k{i}"))
                for i in range(start, start + 32)
            )
        )
        for _ in range(32):
            await worker.expect("ask_prompt")
    found = await worker.ask_refused(
        "RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", ask_prompt=ask(leased, "one more")
    )
    assert found.metadata == {"limit": "open_prompts_per_job", "value": "64"}
    # The stream and the job continue.
    cancel = hpb.CancelPromptRequest(job_id=leased.job.job_id, key="k0")
    await lite.hitl.CancelPrompt(cancel)
    await worker.expect("prompt_resolved")
    await worker.ask(ask_prompt=ask(leased, "one more"))


async def test_only_resolved_prompts_of_the_job_can_be_confirmed(lite: ServiceWorld) -> None:
    worker, leased = await working(lite)
    prompt = (await worker.ask(ask_prompt=ask(leased, "k"))).prompt
    other = await lite.create_prompt()
    for prompt_id, code, reason in (
        (prompt.prompt_id, "FAILED_PRECONDITION", "ILLEGAL_STATE"),
        (other.prompt_id, "NOT_FOUND", "PROMPT_NOT_FOUND"),
        (ABSENT_ID, "NOT_FOUND", "PROMPT_NOT_FOUND"),
        ("", "INVALID_ARGUMENT", "INVALID_FIELD"),
    ):
        request = pb.AcknowledgePromptsRequest(**of(leased, prompt_ids=[prompt_id]))
        await worker.ask_refused(code, reason, acknowledge_prompts=request)
    many = pb.AcknowledgePromptsRequest(**of(leased, prompt_ids=[ABSENT_ID] * 1001))
    await worker.ask_refused("INVALID_ARGUMENT", "INVALID_FIELD", acknowledge_prompts=many)


async def test_a_lease_carries_answers_and_checkpoints_of_earlier_attempts(world: ServiceWorld) -> None:
    worker, leased = await working(world)
    exact = '{"b": 9007199254740993, "a": [1.10]}'
    for key in ("step b", "step a"):
        saved = pb.SaveCheckpointRequest(**of(leased, key=key, value_json="0"))
        await worker.ask(save_checkpoint=saved)
    await worker.ask(save_checkpoint=pb.SaveCheckpointRequest(**of(leased, key="step a", value_json=exact)))
    first = (await worker.ask(ask_prompt=ask(leased, "one", confirm(blocking=False)))).prompt
    second = (await worker.ask(ask_prompt=ask(leased, "two", confirm("2", blocking=False)))).prompt
    await world.hitl.AnswerPrompt(answer(first, comment="known"))
    await worker.expect("prompt_resolved")
    await worker.ask(release_job=pb.ReleaseJobRequest(**of(leased)))
    again = await worker.next_job()
    assert again.token == 2
    assert [c.key for c in again.checkpoints] == ["step a", "step b"]
    assert again.checkpoints[0].value_json == exact
    assert [p.prompt_id for p in again.prompts] == [second.prompt_id, first.prompt_id]  # newest first
    assert again.prompts[1].resolution.answer.comment == "known"
    assert not again.more
    # An open prompt's resolution is sent to the new holder.
    await world.hitl.AnswerPrompt(answer(second))
    assert (await worker.expect("prompt_resolved")).prompt.prompt_id == second.prompt_id


async def test_a_large_lease_is_marked_and_its_rest_can_be_paged(lite: ServiceWorld) -> None:
    worker, leased = await working(lite)
    for i in range(6):
        value = '"' + f"{i}" * 200_000 + '"'
        saved = pb.SaveCheckpointRequest(**of(leased, key=f"c{i}", value_json=value))
        await worker.ask(save_checkpoint=saved)
    for i in range(3):
        content = confirm(f"p{i}", body="x" * 300_000, blocking=False)
        await worker.ask(ask_prompt=ask(leased, f"p{i}", content))
    await worker.ask(release_job=pb.ReleaseJobRequest(**of(leased)))
    again = await worker.next_job()
    assert again.more
    assert again.ByteSize() < 1024 * 1024
    assert 0 < len(again.checkpoints) < 6
    keys: list[str] = []
    token = ""
    while True:
        request = pb.ListCheckpointsRequest(job_id=leased.job.job_id, page_token=token)
        page = await worker.ask(list_checkpoints=request)
        assert page.ByteSize() < 1024 * 1024
        keys += [c.key for c in page.checkpoints]
        token = page.next_page_token
        if not token:
            break
    assert keys == [f"c{i}" for i in range(6)]
    by_job = hpb.PromptFilter(job_id=leased.job.job_id)
    assert (await lite.hitl.ListPrompts(hpb.ListPromptsRequest(filter=by_job))).total_size == 3
    await worker.ask_refused(
        "INVALID_ARGUMENT",
        "BAD_PAGE_TOKEN",
        list_checkpoints=pb.ListCheckpointsRequest(job_id=leased.job.job_id, page_token="x"),
    )
    foreign = pb.ListCheckpointsRequest(job_id=(await lite.create("other")).job_id, page_token="x")
    await worker.ask_refused("INVALID_ARGUMENT", "BAD_PAGE_TOKEN", list_checkpoints=foreign)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"key": "", "value_json": "1"}, "key"),
        ({"key": "k" * 201, "value_json": "1"}, "key"),
        ({"key": "k", "value_json": ""}, "value_json"),
        ({"key": "k", "value_json": "nope"}, "value_json"),
        ({"key": "k", "value_json": '"' + "x" * 262_144 + '"'}, "value_json"),
        ({"key": "k", "value_json": "[" * 65 + "]" * 65}, "value_json"),
    ],
)
async def test_a_wrong_checkpoint_is_refused(
    shared_lite: ServiceWorld, fields: dict[str, str], field: str
) -> None:
    lease = await shared_lite.lease_new_job()
    request = pb.SaveCheckpointRequest(job_id=lease.job.job_id, token=lease.token, **fields)
    found = await expect_refusal(
        shared_lite.workers.SaveCheckpoint(request), "INVALID_ARGUMENT", "INVALID_FIELD"
    )
    assert set(found.violations) == {field}


async def test_open_prompts_end_with_their_job(world: ServiceWorld) -> None:
    worker, leased = await working(world)
    prompt = (await worker.ask(ask_prompt=ask(leased, "k"))).prompt
    await worker.ask(complete_job=pb.CompleteJobRequest(**of(leased, result_json="1")))
    ended = await world.prompt(prompt.prompt_id)
    assert (ended.state, ended.resolution.reason) == (prompts.PROMPT_STATE_CANCELLED, "the job completed")
    assert not (await world.jobs.GetJob(jpb.GetJobRequest(job_id=leased.job.job_id))).open_prompts
    await worker.nothing_more()
