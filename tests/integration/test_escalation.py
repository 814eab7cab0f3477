"""Escalation and reminders as consoles, askers and auditors see them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from askback.v1 import hitl_service_pb2 as hpb
from askback.v1 import job_service_pb2 as jpb
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as wpb
from tests.support.refusals import expect_refusal
from tests.support.requests import answer, audience, confirm, seconds
from tests.support.service import ServiceWorld


def step(after: float, *users: str, groups: list[str] | None = None, **fields: Any) -> prompts.EscalationStep:
    return prompts.EscalationStep(after=seconds(after), to=audience(*users, groups=groups or []), **fields)


def escalating_prompt(*steps: prompts.EscalationStep, **fields: Any) -> prompts.PromptContent:
    return confirm("Refund?", audience=audience(groups=["desk"]), escalation=steps, **fields)


async def test_an_adding_step_shows_the_prompt_to_more_people(world: ServiceWorld) -> None:
    sam, lea = world.as_user("sam", "desk"), world.as_user("lea", "leads")
    desk, leads = world.console(sam), world.console(lea)
    for console in (desk, leads):
        await console.hello()
        await console.snapshot()
    # The claim must come before the step.
    asked = await world.create_prompt(escalating_prompt(step(3, groups=["leads"], raise_priority=5)))
    shown = (await desk.event("upserted")).prompt
    assert shown.escalation_step == 0
    assert shown.next_escalation_time.ToDatetime() > shown.create_time.ToDatetime()
    await sam.hitl.ClaimPrompt(hpb.ClaimPromptRequest(prompt_id=asked.prompt_id))
    assert (await desk.event("upserted")).prompt.claimed_by == "sam"
    now = (await leads.event("upserted")).prompt
    assert (now.prompt_id, now.revision, now.escalation_step) == (asked.prompt_id, 1, 1)
    assert now.content.audience == audience(groups=["desk", "leads"])
    assert (now.content.priority, now.claimed_by) == (5, "")
    assert not now.HasField("next_escalation_time")
    assert (await desk.event("upserted")).prompt == now
    filter = hpb.PromptFilter(groups=["leads"])
    [listed] = (await lea.hitl.ListPrompts(hpb.ListPromptsRequest(filter=filter))).prompts
    assert listed == now
    # Sam answers the revision that he saw before the step.
    result = await sam.hitl.AnswerPrompt(answer(shown))
    assert result.result.status == prompts.ANSWER_STATUS_ACCEPTED
    closed = await leads.event("closed")
    assert closed.resolution.answer.user_id == "sam"
    events = (await world.jobs.WatchJob(jpb.WatchJobRequest(job_id=asked.job_id)).read()).events
    [escalated] = [e for e in events if e.type == 31]
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert escalated.actor == "system"
    assert json.loads(escalated.data_json) == {
        "round": 1,
        "key": "prompt",
        "step": 1,
        "users": [],
        "groups": ["leads"],
        "replace": False,
        "priority": 5,
    }


async def test_a_replacing_step_hides_the_prompt_from_the_former_audience(world: ServiceWorld) -> None:
    sam, lea = world.as_user("sam", "desk"), world.as_user("lea")
    desk = world.console(sam)
    await desk.hello()
    await desk.snapshot()
    asked = await world.create_prompt(escalating_prompt(step(1, "lea", replace=True)))
    shown = (await desk.event("upserted")).prompt
    assert (await desk.event("removed")).prompt_id == asked.prompt_id
    await expect_refusal(sam.hitl.AnswerPrompt(answer(shown)), "NOT_FOUND", "PROMPT_NOT_FOUND")
    result = await lea.hitl.AnswerPrompt(answer(shown))
    assert result.result.status == prompts.ANSWER_STATUS_ACCEPTED
    await desk.nothing_more()


async def test_a_reminder_sends_the_prompt_again(world: ServiceWorld) -> None:
    console = world.console()
    await console.hello()
    await console.snapshot()
    every = seconds(1)
    reminders = prompts.Reminders(after=seconds(1), every=every, max_count=2)
    await world.create_prompt(confirm(reminders=reminders))
    versions = []
    for count in (0, 1, 2):
        prompt = (await console.event("upserted")).prompt
        assert (prompt.remind_count, prompt.revision) == (count, 1)
        assert prompt.HasField("last_remind_time") == (count > 0)
        assert prompt.HasField("next_remind_time") == (count < 2)
        versions.append(prompt.version)
    assert versions == sorted(set(versions))


async def test_a_reconnected_console_sees_the_prompt_after_its_steps(world: ServiceWorld) -> None:
    sam, lea = world.as_user("sam", "desk"), world.as_user("lea", "leads")
    tokens = {}
    for name, caller in (("sam", sam), ("lea", lea)):
        console = world.console(caller)
        await console.hello()
        shown, caught_up = await console.snapshot()
        assert not shown
        tokens[name] = caught_up.resume_token
        await console.aclose()
    watcher = world.console(lea)
    await watcher.hello()
    await watcher.snapshot()
    asked = await world.create_prompt(escalating_prompt(step(0.2, groups=["leads"], replace=True)))
    await watcher.event("upserted")
    await world.catch_up()
    leads, desk = world.console(lea), world.console(sam)
    await leads.hello(resume_token=tokens["lea"])
    shown, _ = await leads.snapshot()
    assert [p.prompt_id for p in shown] == [asked.prompt_id]
    await desk.hello(resume_token=tokens["sam"])
    assert (await desk.event("removed")).prompt_id == asked.prompt_id
    assert (await desk.event("caught_up")).open_prompts == -1


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (escalating_prompt(step(60, "x"), step(60, "y")), {"escalation[1].after"}),
        (escalating_prompt(step(60, "x"), timeout=seconds(60)), {"escalation[0].after"}),
        (escalating_prompt(step(60)), {"escalation[0].to"}),
        (escalating_prompt(prompts.EscalationStep(to=audience("x"))), {"escalation[0].after"}),
        (confirm(reminders=prompts.Reminders()), {"reminders.every"}),
        (confirm(reminders=prompts.Reminders(every=seconds(0.5))), {"reminders.every"}),
    ],
)
async def test_impossible_steps_are_refused_field_by_field(
    shared_lite: ServiceWorld, content: prompts.PromptContent, fields: set[str]
) -> None:
    request = jpb.CreateJobRequest(job_type="t", prompt=content)
    found = await expect_refusal(shared_lite.jobs.CreateJob(request), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert found.violations.keys() == {f"prompt.{field}" for field in fields}
    lease = await shared_lite.lease_new_job()
    ask = wpb.AskPromptRequest(job_id=lease.job.job_id, token=lease.token, key="k", content=content)
    found = await expect_refusal(shared_lite.workers.AskPrompt(ask), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert found.violations.keys() == {f"content.{field}" for field in fields}
