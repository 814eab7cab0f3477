"""The audience of one of a job's prompts reads the job's head: GetJob, WatchJob and `explain`."""

from pathlib import Path

import pytest

from askback import Client, JobState, PermissionDenied
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from askback_server.domain.events import EventType
from askback_server.transport.job_heads import _EVENTS
from tests.support import job_heads
from tests.support.job_heads import all_events, busy_job, end_job, names
from tests.support.refusals import expect_refusal
from tests.support.requests import REJECT, answer, audience, confirm
from tests.support.service import ServiceWorld
from tests.support.shell import Shell
from tests.support.streams import ABSENT_ID

# Fixtures in place of those of conftest.py.
tokens, world, lite = job_heads.tokens, job_heads.world, job_heads.lite
ALL_STATES = [number for number in prompts.PromptState.values() if number]


@pytest.mark.parametrize("how", ["failed", "completed", "cancelled"])
async def test_the_audience_sees_the_head_of_a_job(world: ServiceWorld, how: str) -> None:
    leased = await busy_job(world)
    lara, job_id = world.with_token("lara"), leased.job.job_id
    get = jobs.GetJobRequest(job_id=job_id)
    found = await lara.jobs.GetJob(get)
    assert [p.content.title for p in found.open_prompts] == ["For law"]
    head = found.job
    assert (head.job_type, head.user_id, head.labels["team"]) == ("refund", "asker", "red")
    assert (head.state, head.progress.message, head.progress.total) == (3, "packing", 4)
    assert (head.rounds, head.open_prompts, head.open_blocking_prompts) == (1, 1, 1)
    whole = (await world.jobs.GetJob(get)).job
    assert not whole.head_only
    assert (whole.rounds, whole.input_json) == (2, '"canary-input"')
    await end_job(world, leased, how)
    # Its prompts are closed, but still visible to their audience.
    for consistency in (jobs.CONSISTENCY_UNSPECIFIED, jobs.CONSISTENCY_STRONG):
        get.consistency = consistency
        found = await lara.jobs.GetJob(get)
        assert found.job.head_only
        assert "canary" not in str(found)
    assert {f.name for f, _ in found.job.ListFields()} == {
        "job_id",
        "namespace",
        "job_type",
        "user_id",
        "state",
        "progress",
        "labels",
        "rounds",
        "version",
        "create_time",
        "update_time",
        "complete_time",
        "purge_time",
        "head_only",
    } | ({"cancel_request_time"} if how == "cancelled" else set())
    assert (found.job.state, found.job.rounds, found.job.open_prompts) == (
        {"completed": 4, "failed": 5, "cancelled": 6}[how],
        1,
        0,
    )
    listed = await lara.hitl.ListPrompts(
        hitl.ListPromptsRequest(filter=hitl.PromptFilter(job_id=job_id, states=ALL_STATES))
    )
    assert ([p.content.title for p in listed.prompts], listed.total_size) == (["For law"], 1)


@pytest.mark.parametrize("how", ["failed", "completed", "cancelled", "superseded"])
async def test_a_closed_prompt_reveals_nothing_beyond_the_head(lite: ServiceWorld, how: str) -> None:
    leased = await busy_job(lite)
    if how == "superseded":
        content = confirm("canary-title", audience=audience(groups=["ops"]))
        await lite.ask(leased, "canary-successor", content, supersedes_keys=["law"])
    await end_job(lite, leased, how)
    lara = lite.with_token("lara")
    job = hitl.PromptFilter(job_id=leased.job.job_id, states=ALL_STATES)
    [closed] = (await lara.hitl.ListPrompts(hitl.ListPromptsRequest(filter=job))).prompts
    assert closed.resolution.reason
    assert "canary" not in str(closed)


@pytest.mark.parametrize("how", ["failed", "completed", "cancelled"])
async def test_the_audience_follows_the_head_of_a_job(world: ServiceWorld, how: str) -> None:
    leased = await busy_job(world)
    watch = world.with_token("lara").jobs.WatchJob(jobs.WatchJobRequest(job_id=leased.job.job_id))
    first = await watch.read()
    await end_job(world, leased, how)
    live = [*first.events, *await all_events(watch)]
    again = await all_events(
        world.with_token("lara").jobs.WatchJob(jobs.WatchJobRequest(job_id=leased.job.job_id))
    )
    assert live == again
    assert "canary" not in str(live)
    assert [e.seq for e in live] == list(range(1, len(live) + 1))
    assert names(live)[:6] == [
        "JOB_CREATED",
        "JOB_LEASED",
        "WITHHELD",
        "JOB_PROGRESSED",
        "PROMPT_ASKED",
        "WITHHELD",
    ]
    assert names(live)[-1] == f"JOB_{how.upper()}"
    assert (live[0].actor, live[0].data_json) == ("asker", '{"job_type":"refund"}')
    assert '"message":"packing"' in live[3].data_json
    assert "For law" in live[4].data_json
    assert {f.name for f, _ in live[5].ListFields()} == {"job_id", "seq", "type", "time", "state"}
    assert all(not e.data_json and not e.actor for e in live if e.type != 3 and e.seq > 1 and not e.prompt_id)
    # Names of workers are hidden: of the one that asked, and of the one that ended the job.
    assert {e.actor for e in live if e.prompt_id} == {""}
    # The asker sees everything.
    whole = await all_events(world.jobs.WatchJob(jobs.WatchJobRequest(job_id=leased.job.job_id)))
    assert "WITHHELD" not in names(whole)
    assert [e.state for e in whole] == [e.state for e in live]


async def test_a_job_is_hidden_from_consoles_outside_its_audiences(world: ServiceWorld) -> None:
    leased = await busy_job(world)
    plain = await world.create("refund")
    for job_id in (leased.job.job_id, plain.job_id, ABSENT_ID):
        eve = world.with_token("eve")
        get = await expect_refusal(
            eve.jobs.GetJob(jobs.GetJobRequest(job_id=job_id)), "NOT_FOUND", "JOB_NOT_FOUND", job_id=job_id
        )
        watch = await expect_refusal(
            eve.jobs.WatchJob(jobs.WatchJobRequest(job_id=job_id)).read(),
            "NOT_FOUND",
            "JOB_NOT_FOUND",
            job_id=job_id,
        )
        assert get == watch
        assert get.message.replace(job_id, "") == (
            await expect_refusal(
                eve.jobs.GetJob(jobs.GetJobRequest(job_id=ABSENT_ID)), "NOT_FOUND", "JOB_NOT_FOUND"
            )
        ).message.replace(ABSENT_ID, "")
        page = await eve.hitl.ListPrompts(
            hitl.ListPromptsRequest(filter=hitl.PromptFilter(job_id=job_id, states=ALL_STATES))
        )
        assert (len(page.prompts), page.total_size) == (0, 0)


async def test_a_prompt_without_audience_opens_the_head_to_every_console(lite: ServiceWorld) -> None:
    prompt = await lite.create_prompt(confirm("For all"), input_json='"canary"')
    found = await lite.with_token("eve").jobs.GetJob(jobs.GetJobRequest(job_id=prompt.job_id))
    assert (found.job.workerless, found.job.input_json) == (True, "")
    await lite.hitl.AnswerPrompt(answer(prompt, decision=REJECT, comment="canary"))
    found = await lite.with_token("eve").jobs.GetJob(jobs.GetJobRequest(job_id=prompt.job_id))
    assert (found.job.state, found.job.result_json) == (4, "")


def test_every_event_type_is_shown_or_withheld_explicitly() -> None:
    withheld = {
        EventType.JOB_CARRIED_OVER,
        EventType.CHECKPOINT_SAVED,
        EventType.UNDERSTANDING_UPDATED,
    }
    of_prompts = {
        t for t in EventType if t.startswith(("PROMPT_", "ANSWER_", "VOTE_", "DELEGATION_", "SUBSTITUTE_"))
    }
    assert set(_EVENTS) == set(EventType) - withheld - of_prompts


async def test_a_console_may_explain_a_job_of_its_audience(lite: ServiceWorld, tmp_path: Path) -> None:
    """With a console's token only, and never more than the head."""
    leased = await busy_job(lite)
    shell = Shell(tmp_path, f"127.0.0.1:{lite.service.port}", ASKBACK_TOKEN="lara")
    try:
        job_id = leased.job.job_id
        text = (await shell.ok("explain", job_id)).out
        assert "waits for people: 1 question must be answered" in text
        assert "For law" in text
        assert "askback inbox approve" in text
        assert "canary" not in text
        shown = dict(
            row.split("\t", 1)
            for row in (await shell.ok("job", "show", job_id)).out.splitlines()
            if "\t" in row
        )
        assert (shown["type"], shown["progress"]) == ("refund", "1/4 packing (25 %)")
        assert not {"attempt", "worker", "priority", "input"} & shown.keys()
        [prompt] = (await lite.with_token("lara").jobs.GetJob(jobs.GetJobRequest(job_id=job_id))).open_prompts
        await lite.with_token("lara").hitl.AnswerPrompt(answer(prompt))
        found = (await shell.ok("explain", job_id, "--json")).json
        assert found["summary"].endswith("others must answer questions that you may not see")
        assert "canary" not in str(found)
        await end_job(lite, leased, "failed")
        done = await shell.ok("explain", job_id)
        assert "refund" in done.out
        assert "has failed" in done.out
        assert "job retry" not in done.out
        watched = await shell.run("job", "watch", job_id)
        assert watched.code == 5
        assert "canary" not in watched.out + watched.err
    finally:
        shell.end()


async def test_result_raises_for_a_caller_that_sees_only_the_head(lite: ServiceWorld) -> None:
    leased = await busy_job(lite)
    async with Client(f"127.0.0.1:{lite.service.port}", token="lara") as client:
        run = client.run(leased.job.job_id)
        await end_job(lite, leased, "completed")
        job = await run.job()
        assert (job.head_only, job.state, job.created_by) == (True, JobState.COMPLETED, "asker")
        with pytest.raises(PermissionDenied, match="role client"):
            await run.result()
        events = [event async for event in run.watch()]
        assert events[-1].type == "JOB_COMPLETED"
