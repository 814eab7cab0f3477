"""What a retry keeps (answers and checkpoints, or nothing), over chains and deletions, on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from askback import Client, JobFailed, Keep, Worker
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as pb
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as wpb
from askback_server.domain.retries import PAGE_SIZE
from askback_server.storage import tables
from tests.support.refusals import expect_refusal
from tests.support.requests import (
    ACCEPT,
    EDIT,
    REJECT,
    RESPOND,
    REVISE,
    answer,
    audience,
    confirm,
    form,
    seconds,
)
from tests.support.service import ServiceWorld
from tests.support.shell import Shell

ALL, NOTHING = pb.RETRY_KEEP_ALL, pb.RETRY_KEEP_NOTHING
ANSWERED, OPEN = prompts.PROMPT_STATE_ANSWERED, prompts.PROMPT_STATE_PENDING
EXPIRED = prompts.PROMPT_STATE_EXPIRED


def preview() -> prompts.PromptContent:
    part = prompts.PromptPart(content_id="text", text="Dear all", editable=True)
    return confirm("Send?", kind="preview", contents=[part])


def form_with_default(timeout: float) -> prompts.PromptContent:
    default = prompts.DefaultAnswer(decision=RESPOND, values_json='{"n": 1}')
    return form(timeout=seconds(timeout), final_action=prompts.FINAL_ACTION_DEFAULT, default_answer=default)


async def fail(world: ServiceWorld, lease: Any) -> str:
    failure = job_pb2.Failure(code="Mail", message="the mail server is away")
    of = {"job_id": lease.job.job_id, "token": lease.token}
    await world.workers.FailJob(wpb.FailJobRequest(**of, failure=failure))
    return str(lease.job.job_id)


async def retry(world: ServiceWorld, job_id: str, **fields: Any) -> Any:
    """Retry a job; returns the lease of the new one."""
    job = (await world.jobs.RetryJob(pb.RetryJobRequest(job_id=job_id, **fields))).job
    [lease] = (await world.lease(job.job_type)).jobs
    assert lease.job.job_id == job.job_id
    return lease


async def save(world: ServiceWorld, lease: Any, key: str, value: str) -> None:
    of = {"job_id": lease.job.job_id, "token": lease.token}
    await world.workers.SaveCheckpoint(wpb.SaveCheckpointRequest(**of, key=key, value_json=value))


async def events(world: ServiceWorld, job_id: str, kind: int) -> list[dict[str, Any]]:
    """The data of a job's first events of a kind."""
    found = await world.service.replica.jobs.list_events(job_id, 0, 1000)
    name = job_pb2.JobEventType.Name(kind).removeprefix("JOB_EVENT_TYPE_")
    return [dict(e.data or {}) for e in found if e.type == name]


CARRIED = job_pb2.JOB_EVENT_TYPE_JOB_CARRIED_OVER


async def everything(world: ServiceWorld) -> tuple[str, dict[str, prompts.Prompt]]:
    """A failed job with an answer of every kind; and its prompts by key."""
    lease = await world.lease_new_job(labels={"team": "a"})
    ann = world.as_user("ann")
    for key, content, said in (
        ("yes", confirm(), {"decision": ACCEPT, "comment": "fine"}),
        ("edit", preview(), {"decision": EDIT, "edits": [prompts.Edit(content_id="text", text="Hello")]}),
        ("values", form(), {"decision": RESPOND, "values_json": '{"n": 9007199254740993}'}),
        ("no", confirm(), {"decision": REJECT}),
        ("revise", confirm(), {"decision": REVISE, "comment": "shorter"}),
    ):
        asked = await world.ask(lease, key, content)
        await ann.hitl.AnswerPrompt(answer(asked, f"answer-{key}", **said))
    amended = await world.ask(lease, "amended", confirm("One?"))
    amended = await world.ask(lease, "amended", confirm("Two?"))
    await ann.hitl.AnswerPrompt(answer(amended, "answer-amended"))
    await world.ask(lease, "default", form_with_default(0.1))
    await world.ask(lease, "expired", confirm(timeout=seconds(0.1)))
    await world.ask(lease, "open", confirm())
    for key in ("default", "expired"):
        request = wpb.AwaitPromptRequest(job_id=lease.job.job_id, key=key, wait=seconds(9))
        assert (await world.workers.AwaitPrompt(request)).prompt.state in (ANSWERED, EXPIRED)
    await save(world, lease, "charge", '{"receipt": 7}')
    await save(world, lease, "mail", '"sent"')
    job_id = await fail(world, lease)
    page = await world.hitl.ListPrompts(_prompts_of(job_id))
    return job_id, {p.key: p for p in page.prompts}


def _prompts_of(job_id: str) -> Any:
    from askback.v1 import hitl_service_pb2 as hpb

    states = [ANSWERED, EXPIRED, prompts.PROMPT_STATE_CANCELLED, OPEN]
    return hpb.ListPromptsRequest(filter=hpb.PromptFilter(job_id=job_id, states=states))


QUESTIONS = {
    "yes": confirm(),
    "edit": preview(),
    "values": form(),
    "amended": confirm("Two?"),
    "no": confirm(),
    "revise": confirm(),
    "default": form(),
    "expired": confirm(),
    "open": confirm(),
}
KEPT = {"yes", "edit", "values", "amended"}


async def test_a_retry_keeps_answers_and_checkpoints_of_a_failed_job(world: ServiceWorld) -> None:
    from askback.v1 import hitl_service_pb2 as hpb

    old, before = await everything(world)
    lease = await retry(world, old)
    job = lease.job
    assert (job.retried_from_job_id, job.root_job_id, dict(job.labels)) == (old, old, {"team": "a"})
    assert (job.rounds, job.open_prompts, job.attempt) == (0, 0, 1)
    assert [(c.key, c.value_json) for c in lease.checkpoints] == [
        ("charge", '{"receipt": 7}'),
        ("mail", '"sent"'),
    ]
    [listed] = await events(world, job.job_id, CARRIED)
    assert {a["key"]: (a["decision"], a["by"], a["from"]) for a in listed["answers"]} == {
        "yes": ("ACCEPT", "ann", old),
        "edit": ("EDIT", "ann", old),
        "values": ("RESPOND", "ann", old),
        "amended": ("ACCEPT", "ann", old),
    }
    assert [c["key"] for c in listed["checkpoints"]] == ["charge", "mail"]
    assert "fine" not in json.dumps(listed), "the log never holds what was said"
    # The carried entries are copies, so the old job may be deleted.
    await world.jobs.DeleteJob(pb.DeleteJobRequest(job_id=old))
    for key, content in QUESTIONS.items():
        asked = await world.ask(lease, key, content)
        assert (asked.state == ANSWERED) is (key in KEPT), key
        if key not in KEPT:
            assert asked.state == OPEN, "it is asked"
            continue
        was, now = before[key].resolution.answer, asked.resolution.answer
        assert (now.user_id, now.create_time, now.source) == ("ann", was.create_time, was.source)
        assert (now.decision, now.values_json, now.comment) == (was.decision, was.values_json, was.comment)
        assert list(now.edits) == list(was.edits)
        assert (asked.resolution.actor, now.revision) == ("ann", 1)
        again = await world.ask(lease, key, content)
        assert again == asked
        audit = await world.hitl.ListAnswers(hpb.ListAnswersRequest(prompt_id=asked.prompt_id))
        assert [a.answer.answer_id for a in audit.answers] == [f"answer-{key}"]


@pytest.mark.parametrize("how", ["other question", "other key"])
async def test_a_retry_asks_another_question_or_key(lite: ServiceWorld, how: str) -> None:
    lease = await lite.lease_new_job()
    await lite.hitl.AnswerPrompt(answer(await lite.ask(lease, "k", confirm("Pay 5?"))))
    lease = await retry(lite, await fail(lite, lease))
    key, title = ("k", "Pay 500?") if how == "other question" else ("j", "Pay 5?")
    asked = await lite.ask(lease, key, confirm(title))
    assert asked.state == OPEN
    await lite.hitl.AnswerPrompt(answer(asked, decision=REJECT))
    # The rejection is the newest answer under this key: neither it nor the acceptance before it is carried.
    lease = await retry(lite, await fail(lite, lease))
    if how == "other question":
        assert (await lite.ask(lease, "k", confirm("Pay 5?"))).state == OPEN


async def test_a_carried_answer_survives_a_routing_without_its_author(lite: ServiceWorld) -> None:
    lease = await lite.lease_new_job()
    first = await lite.ask(lease, "k", confirm(audience=audience("ann")))
    await lite.as_user("ann").hitl.AnswerPrompt(answer(first))
    lease = await retry(lite, await fail(lite, lease))
    asked = await lite.ask(lease, "k", confirm(audience=audience("bob")))
    assert (asked.state, asked.resolution.answer.user_id) == (ANSWERED, "ann")
    assert list(asked.content.audience.users) == ["bob"]


async def test_a_chain_of_retries_carries_answers_on(world: ServiceWorld) -> None:
    lease = await world.lease_new_job()
    first = lease.job.job_id
    for key in ("a", "b"):
        await world.hitl.AnswerPrompt(answer(await world.ask(lease, key), f"answer-{key}"))
    await save(world, lease, "one", "1")
    lease = await retry(world, await fail(world, lease))
    second = lease.job.job_id
    assert (await world.ask(lease, "a")).state == ANSWERED
    await save(world, lease, "two", "2")
    lease = await retry(world, await fail(world, lease))
    await world.jobs.DeleteJob(pb.DeleteJobRequest(job_id=first))
    await world.jobs.DeleteJob(pb.DeleteJobRequest(job_id=second))
    assert (lease.job.retried_from_job_id, lease.job.root_job_id) == (second, first)
    assert [c.key for c in lease.checkpoints] == ["one", "two"]
    [listed] = await events(world, lease.job.job_id, CARRIED)
    assert [(a["key"], a["from"]) for a in listed["answers"]] == [("a", second), ("b", first)]
    for key in ("a", "b"):
        asked = await world.ask(lease, key)
        assert (asked.state, asked.resolution.answer.answer_id) == (ANSWERED, f"answer-{key}")
    lease = await retry(world, await fail(world, lease), keep=NOTHING)
    assert (lease.job.root_job_id, list(lease.checkpoints)) == (first, [])
    assert await events(world, lease.job.job_id, CARRIED) == []
    assert (await world.ask(lease, "a")).state == OPEN


@pytest.mark.parametrize("end", ["COMPLETED", "CANCELLED"])
@pytest.mark.parametrize("keep", [pb.RETRY_KEEP_UNSPECIFIED, ALL, NOTHING])
async def test_a_completed_or_cancelled_job_keeps_nothing_by_default(
    lite: ServiceWorld, end: str, keep: Any
) -> None:
    lease = await lite.lease_new_job()
    await lite.hitl.AnswerPrompt(answer(await lite.ask(lease, "k")))
    await save(lite, lease, "step", "1")
    old, of = lease.job.job_id, {"job_id": lease.job.job_id, "token": lease.token}
    if end == "COMPLETED":
        await lite.workers.CompleteJob(wpb.CompleteJobRequest(**of))
    else:
        await lite.jobs.CancelJob(pb.CancelJobRequest(job_id=old))
        await lite.workers.ReleaseJob(wpb.ReleaseJobRequest(**of))
    lease = await retry(lite, old, keep=keep)
    kept = keep == ALL
    assert len(lease.checkpoints) == kept
    assert ((await lite.ask(lease, "k")).state == ANSWERED) is kept
    own = end == "COMPLETED" and not kept
    assert lease.job.root_job_id == (lease.job.job_id if own else old)


async def test_a_repeated_retry_request_must_keep_the_same(world: ServiceWorld) -> None:
    lease = await world.lease_new_job()
    old = await fail(world, lease)
    request = pb.RetryJobRequest(job_id=old, request_id="r")
    made, again = await asyncio.gather(world.jobs.RetryJob(request), world.jobs.RetryJob(request))
    assert made.job.job_id == again.job.job_id
    assert {made.replayed, again.replayed} == {True, False}
    for same in (pb.RETRY_KEEP_UNSPECIFIED, ALL):
        request.keep = same
        assert (await world.jobs.RetryJob(request)).job.job_id == made.job.job_id
    request.keep = NOTHING
    await expect_refusal(world.jobs.RetryJob(request), "ALREADY_EXISTS", "ID_REUSED", value="r")
    request.keep = 77  # type: ignore[assignment]
    found = await expect_refusal(world.jobs.RetryJob(request), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert set(found.violations) == {"keep"}


async def test_thousands_of_checkpoints_are_carried_in_one_write(world: ServiceWorld) -> None:
    count = 3_000
    lease = await world.lease_new_job()
    old = lease.job.job_id
    job_row = {"job_id": old, "value": '"' + "x" * 500 + '"'}
    await _insert(world, tables.checkpoints, [{**job_row, "key": f"{n:05}"} for n in range(count)])
    lease = await retry(world, await fail(world, lease))
    assert lease.more
    carried = await world.service.replica.jobs.list_kept_checkpoints(lease.job.job_id)
    assert [point.key for point in carried] == [f"{n:05}" for n in range(count)]
    pages = await events(world, lease.job.job_id, CARRIED)
    assert [len(p["checkpoints"]) for p in pages] == [PAGE_SIZE] * (count // PAGE_SIZE)
    assert [(p["page"], p["pages"]) for p in pages] == [(n + 1, len(pages)) for n in range(len(pages))]


async def _insert(world: ServiceWorld, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Write rows like those of many commands."""
    from datetime import UTC, datetime

    jobs = world.service.replica.jobs
    async with jobs._dialect.reads.begin() as connection:  # type: ignore[attr-defined]
        at = datetime.now(UTC)
        await connection.execute(sa.insert(table), [{**row, "created_at": at} for row in rows])


async def test_a_retry_during_a_deletion_creates_no_partial_job(
    world: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entries to carry are deleted before the write: then no new job is created."""
    for request_id in ("", "r"):
        lease = await world.lease_new_job()
        await save(world, lease, "step", "1")
        old = await fail(world, lease)
        jobs = world.service.replica.jobs
        read = jobs.list_kept_checkpoints

        async def delete_before_write(job_id: str, read: Any = read) -> Any:
            found = await read(job_id)
            await world.jobs.DeleteJob(pb.DeleteJobRequest(job_id=job_id))
            return found

        with monkeypatch.context() as patch:
            patch.setattr(jobs, "list_kept_checkpoints", delete_before_write)
            call = world.jobs.RetryJob(pb.RetryJobRequest(job_id=old, request_id=request_id))
            await expect_refusal(call, "ABORTED", "CONTENTION")
        call = world.jobs.RetryJob(pb.RetryJobRequest(job_id=old, request_id=request_id))
        await expect_refusal(call, "NOT_FOUND", "JOB_NOT_FOUND")
    assert not (await world.jobs.ListJobs(pb.ListJobsRequest())).jobs


worker = Worker("127.0.0.1:1", worker_id="retries")
steps: list[str] = []
fails = {"mail": True}


@worker.job("pay")
async def pay(job: Any) -> list[str]:
    for key in "abc":
        await job.confirm(f"{key}?", key=key)
    await job.step("charge", lambda: steps.append(job.root_job_id) or 1)  # type: ignore[func-returns-value]
    if fails["mail"]:
        raise RuntimeError("the mail server is away")
    return [job.job_id, job.root_job_id]


@pytest.fixture
async def client(lite: ServiceWorld) -> AsyncIterator[Client]:
    target = f"127.0.0.1:{lite.service.port}"
    steps.clear()
    async with worker.at(target, user="w"), Client(target, user="ann") as client:
        yield client


async def _approve(client: Client, job_id: str, keys: str = "abc") -> None:
    for key in keys:
        while not (found := [p async for p in client.prompts(job_id=job_id) if p.key == key]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await client.answer(found[0], "ACCEPT")


async def test_a_retry_asks_and_charges_nothing_twice(
    lite: ServiceWorld, client: Client, shell: Shell
) -> None:
    fails["mail"] = True
    run = await client.start("pay", max_attempts=1)
    await _approve(client, run.job_id)
    with pytest.raises(JobFailed):
        await run.result()
    fails["mail"] = False
    shown = await shell.ok("job", "retry", run.job_id)
    again = client.run(shown.out.strip())
    assert await again.result() == [again.job_id, run.job_id]
    job = await again.job()
    assert (job.root_job_id, job.retried_from_job_id) == (run.job_id, run.job_id)
    assert steps == [run.job_id]
    told = (await shell.ok("job", "show", again.job_id)).out
    assert f"carried over from {run.job_id}: 3 answers, 1 checkpoints" in told
    assert "a: ACCEPT by ann, " in told
    assert "checkpoint charge, " in told
    as_json = (await shell.ok("job", "show", again.job_id, "--json")).json["carriedOver"]
    assert [a["key"] for a in as_json["answers"]] == ["a", "b", "c"]
    watched = (await shell.ok("job", "watch", again.job_id)).out
    assert f"carried over from {run.job_id}: 3 answers, 1 checkpoint" in watched
    assert f"question 1 has the answer of ann in job {run.job_id}: ACCEPT" in watched
    # A completed job starts from the beginning, in a new chain.
    fresh = await client.retry(again.job_id)
    await _approve(client, fresh.job_id)
    assert await fresh.result() == [fresh.job_id, fresh.job_id]
    assert steps == [run.job_id, fresh.job_id]


async def test_the_command_line_reports_what_a_retry_keeps(lite: ServiceWorld, shell: Shell) -> None:
    lease = await lite.lease_new_job()
    await save(lite, lease, "step", "1")
    old = await fail(lite, lease)
    for words, keep in ((["--keep", "all"], "ALL"), (["--fresh"], "NOTHING")):
        made = (await shell.ok("job", "retry", old, *words)).out.strip()
        [created] = await events(lite, made, job_pb2.JOB_EVENT_TYPE_JOB_CREATED)
        assert created["keep"] == keep
    assert (await shell.run("job", "retry", old, "--fresh", "--keep", "all")).code == 2


async def test_the_sdk_reports_what_a_retry_keeps(lite: ServiceWorld, client: Client) -> None:
    lease = await lite.lease_new_job()
    old = await fail(lite, lease)
    for keep, kept in ((None, "ALL"), ("ALL", "ALL"), (Keep.NOTHING, "NOTHING")):
        run = await client.retry(old, keep=keep)
        [created] = await events(lite, run.job_id, job_pb2.JOB_EVENT_TYPE_JOB_CREATED)
        assert created["keep"] == kept
    with pytest.raises(ValueError, match="SOME"):
        await client.retry(old, keep="SOME")
