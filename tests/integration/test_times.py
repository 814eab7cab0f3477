"""Every time and span of the contract over real gRPC: invalid ones are refused with the name of the field."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from askback import Client, DecisionKind, InvalidArgument, InvalidTime, Job, JobFailed, Worker
from askback.v1 import hitl_service_pb2 as hpb
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jpb
from askback.v1 import policy_service_pb2 as ppb
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as wpb
from askback.v1.rule_pb2 import RuleRoute
from tests.support.refusals import expect_refusal
from tests.support.requests import answer, confirm, seconds
from tests.support.rule_requests import create
from tests.support.service import ServiceWorld, serving
from tests.support.streams import ABSENT_ID

NO_SPANS = {
    "zero": Duration(),
    "negative": Duration(seconds=-5),
    "negative nanos": Duration(nanos=-1),
    "mixed signs": Duration(seconds=1, nanos=-1),
    "nanos out of range": Duration(seconds=1, nanos=10**9),
    "seconds out of range": Duration(seconds=2**62),
    "too short to count": Duration(nanos=1),
}
NO_MOMENTS = {
    "before year 1": Timestamp(seconds=-62_135_596_801),
    "after year 9999": Timestamp(seconds=253_402_300_800),
    "negative nanos": Timestamp(seconds=1, nanos=-1),
    "nanos out of range": Timestamp(nanos=10**9),
}
AUDIENCE = prompts.Audience(users=["ann"])


def create_with(**fields: Any) -> Callable[[ServiceWorld], Awaitable[Any]]:
    return lambda world: world.jobs.CreateJob(jpb.CreateJobRequest(job_type="t", **fields))


def ask_with(**fields: Any) -> Callable[[ServiceWorld], Awaitable[Any]]:
    return create_with(prompt=confirm(**fields))


def reroute_with(**fields: Any) -> Callable[[ServiceWorld], Awaitable[Any]]:
    return lambda world: world.hitl.ReroutePrompt(hpb.ReroutePromptRequest(prompt_id=ABSENT_ID, **fields))


def list_with(**fields: Any) -> Callable[[ServiceWorld], Awaitable[Any]]:
    return lambda world: world.jobs.ListJobs(jpb.ListJobsRequest(filter=jpb.JobFilter(**fields)))


def update_retention(world: ServiceWorld, span: Duration) -> Any:
    job = job_pb2.Job(job_id=ABSENT_ID, retention=span)
    return world.jobs.UpdateJob(jpb.UpdateJobRequest(job=job, update_mask=FieldMask(paths=["retention"])))


def watch_created_after(world: ServiceWorld, moment: Timestamp) -> Any:
    call = world.jobs.WatchJobs(jpb.WatchJobsRequest(filter=jpb.JobFilter(created_after=moment)))
    return call.read()


SPANS: dict[str, Callable[[ServiceWorld, Duration], Awaitable[Any]]] = {
    "retention": lambda w, d: create_with(retention=d)(w),
    "start_delay": lambda w, d: create_with(start_delay=d)(w),
    "timeout": lambda w, d: create_with(timeout=d)(w),
    "run_timeout": lambda w, d: create_with(run_timeout=d)(w),
    "job.retention": update_retention,
    "prompt.timeout": lambda w, d: ask_with(timeout=d)(w),
    "window": lambda w, d: w.jobs.GetOverview(jpb.GetOverviewRequest(window=d)),
    "prompt.escalation[0].after": lambda w, d: ask_with(
        escalation=[prompts.EscalationStep(after=d, to=AUDIENCE)]
    )(w),
    "prompt.reminders.every": lambda w, d: ask_with(reminders=prompts.Reminders(every=d, after=seconds(9)))(
        w
    ),
    "prompt.reminders.after": lambda w, d: ask_with(reminders=prompts.Reminders(every=seconds(9), after=d))(
        w
    ),
    "duration": lambda w, d: w.hitl.ClaimPrompt(hpb.ClaimPromptRequest(prompt_id=ABSENT_ID, duration=d)),
    "timeout (reroute)": lambda w, d: reroute_with(timeout=d)(w),
    "escalation.steps[0].after": lambda w, d: reroute_with(
        escalation=prompts.Escalation(steps=[prompts.EscalationStep(after=d, to=AUDIENCE)])
    )(w),
    "retry_delay": lambda w, d: w.workers.FailJob(wpb.FailJobRequest(job_id=ABSENT_ID, retry_delay=d)),
    "wait": lambda w, d: w.workers.AwaitPrompt(wpb.AwaitPromptRequest(prompt_id=ABSENT_ID, wait=d)),
    "wait (lease)": lambda w, d: w.workers.LeaseJobs(
        wpb.LeaseJobsRequest(worker_id="w", job_types=["t"], wait=d)
    ),
}
MOMENTS: dict[str, Callable[[ServiceWorld, Timestamp], Awaitable[Any]]] = {
    "start_time": lambda w, t: create_with(start_time=t)(w),
    "prompt.deadline": lambda w, t: ask_with(deadline=t)(w),
    "filter.created_after": lambda w, t: list_with(created_after=t)(w),
    "filter.created_before": lambda w, t: list_with(created_before=t)(w),
    "filter.created_after (watch)": watch_created_after,
    "deadline (reroute)": lambda w, t: reroute_with(deadline=t)(w),
    "from_time": lambda w, t: w.policies.SetAbsence(
        ppb.SetAbsenceRequest(from_time=t, until_time={"seconds": 1})
    ),
    "until_time": lambda w, t: w.policies.SetAbsence(ppb.SetAbsenceRequest(until_time=t)),
    "filter.expires_before": lambda w, t: w.hitl.ListPrompts(
        hpb.ListPromptsRequest(filter=hpb.PromptFilter(expires_before=t))
    ),
}


async def test_rules_refuse_invalid_spans_and_times(world_with_tokens: ServiceWorld) -> None:
    policies = world_with_tokens.with_token("policy-token").policies
    for what, span in NO_SPANS.items():
        call = policies.CreateRule(create(route=RuleRoute(timeout=span)))
        found = await expect_refusal(call, "INVALID_ARGUMENT", "INVALID_FIELD")
        assert set(found.violations) == {"spec.route.timeout"}, what
    for what, moment in NO_MOMENTS.items():
        call = policies.CreateRule(create(ask={}, expire_time=moment))
        found = await expect_refusal(call, "INVALID_ARGUMENT", "INVALID_FIELD")
        assert set(found.violations) == {"spec.expire_time"}, what


async def test_every_field_refuses_invalid_spans_and_times(lite: ServiceWorld) -> None:
    for where, span_call in SPANS.items():
        for what, span in NO_SPANS.items():
            found = await expect_refusal(span_call(lite, span), "INVALID_ARGUMENT", "INVALID_FIELD")
            assert set(found.violations) == {where.partition(" ")[0]}, what
    for where, moment_call in MOMENTS.items():
        for what, moment in NO_MOMENTS.items():
            found = await expect_refusal(moment_call(lite, moment), "INVALID_ARGUMENT", "INVALID_FIELD")
            assert set(found.violations) == {where.partition(" ")[0]}, what
    page = await lite.jobs.ListJobs(jpb.ListJobsRequest())
    assert not page.jobs, "what was refused has changed something"


async def test_filters_accept_any_time_of_the_calendar(world: ServiceWorld) -> None:
    await world.create()
    for text, after, before in (("0001-01-01T00:00:00Z", 1, 0), ("9999-12-31T23:59:59Z", 0, 1)):
        bound = Timestamp()
        bound.FromJsonString(text)
        assert len((await list_with(created_after=bound)(world)).jobs) == after
        assert len((await list_with(created_before=bound)(world)).jobs) == before
        await world.hitl.ListPrompts(hpb.ListPromptsRequest(filter=hpb.PromptFilter(expires_before=bound)))


async def test_the_table_has_every_span_of_the_contract() -> None:
    """A new field of the contract must be added above, so that its invalid values are tested too."""
    found = set()
    for module in (jpb, hpb, wpb, ppb):
        for name, message in module.DESCRIPTOR.message_types_by_name.items():
            if name.endswith("Request"):
                found |= set(_time_fields(message, "", ()))
    known = {name.partition(" ")[0].replace("[0]", "") for name in (*SPANS, *MOMENTS)}
    known |= {"spec.route.timeout", "spec.expire_time"}
    ignored = {name for name in found if name.startswith("job.")} - {"job.retention"}  # not in the mask
    ignored |= {name for name in found if name.startswith("deep_understanding.")}
    as_content = {name.replace("content.", "prompt.", 1) for name in found if name.startswith("content.")}
    rest = {n for n in found - ignored if not n.startswith(("content.", "frames."))}
    examples = {n for n in rest if ".content." in n}  # of rules: their times match nothing
    assert (rest - examples) | as_content == known


def _time_fields(message: Any, path: str, above: tuple[str, ...]) -> Any:
    for field in message.fields:
        inner = field.message_type
        if inner is None or inner.full_name in above or field.name == "frames":
            continue
        at = f"{path}{field.name}"
        if inner.full_name in ("google.protobuf.Duration", "google.protobuf.Timestamp"):
            yield at
        else:
            yield from _time_fields(inner, f"{at}.", (*above, inner.full_name))


worker = Worker("127.0.0.1:1", worker_id="times")
WHEN: dict[str, Any] = {
    "naive": datetime.now() + timedelta(hours=1),
    "past": datetime(2020, 1, 1, tzinfo=UTC),
    "negative": timedelta(seconds=-5),
    "zero": 0,
    "nan": float("nan"),
    "a moment": 0.5,
    "soon": datetime.max.replace(tzinfo=UTC),
}


@worker.job("pay")
async def pay(job: Job, which: str) -> str:
    paid = await job.confirm("Pay?", key="p", deadline=WHEN[which], default=DecisionKind.ACCEPT)
    return f"{paid.decision} {paid.by_default}"


UNTIL: dict[str, datetime] = {}
"""The deadlines of `twice`, by job. Each is set when the job has started, which may take a second."""


@worker.job("twice")
async def twice(job: Job) -> str:
    """Asks again in the next attempt, by then after the deadline."""
    until = UNTIL.setdefault(job.job_id, datetime.now(UTC) + timedelta(seconds=3))
    paid = await job.confirm("Pay?", key="p", deadline=until, default=DecisionKind.ACCEPT)
    if job.attempt == 1:
        await asyncio.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()) + 0.01)
        raise RuntimeError("again")
    return f"{paid.decision} {paid.by_default}"


@pytest.fixture
async def refunds(lite_url: str) -> AsyncIterator[tuple[ServiceWorld, Client]]:
    """A server, a worker and a client of it."""
    async with serving(lite_url) as world:
        object.__setattr__(world.service.replica.limits, "backoff_base", timedelta(milliseconds=10))
        target = f"127.0.0.1:{world.service.port}"
        async with worker.at(target, user="w"), Client(target, user="ann") as client:
            yield world, client


async def test_an_invalid_deadline_fails_the_job_and_authorises_nothing(
    refunds: tuple[ServiceWorld, Client],
) -> None:
    _, client = refunds
    for which in WHEN:
        run = await client.start("pay", {"which": which})
        with pytest.raises(JobFailed) as failed:
            await run.result()
        expected = "InvalidTime" if which in ("naive", "negative", "zero", "nan") else "InvalidArgument"
        assert failed.value.failure_code == expected
        job = await run.job()
        assert (job.attempt, job.proto.rounds) == (1, 0), "it failed once, and asked nothing"
    with pytest.raises(InvalidArgument) as refused_ask:
        await client.ask("Go?", deadline=WHEN["past"], default=True)
    assert [v.field for v in refused_ask.value.violations] == ["prompt.deadline"]
    with pytest.raises(InvalidTime):
        await client.ask("Go?", deadline=WHEN["naive"], default=True)
    assert not [p async for p in client.prompts()]


async def test_a_job_that_asks_again_after_the_deadline_gets_its_answer(
    refunds: tuple[ServiceWorld, Client],
) -> None:
    _, client = refunds
    run = await client.start("twice")
    async for event in run.watch():
        if event.type == "PROMPT_ASKED":
            await client.answer(event.prompt_id, "ACCEPT")
    assert await run.result() == "ACCEPT False"
    job = await run.job()
    assert (job.attempt, job.proto.rounds) == (2, 1)


async def test_a_question_repeated_after_its_deadline_is_the_same(world: ServiceWorld) -> None:
    until = datetime.now(UTC) + timedelta(seconds=3)
    stamp = Timestamp()
    stamp.FromDatetime(until)
    request = jpb.CreateJobRequest(job_type="t", request_id="r", prompt=confirm(deadline=stamp))
    first = await world.jobs.CreateJob(request)
    assert first.prompt.expire_time == stamp
    assert not first.prompt.content.HasField("deadline")
    await world.state(first.job.job_id, 4)
    again = await world.jobs.CreateJob(request)
    assert (again.replayed, again.job.job_id) == (True, first.job.job_id)
    assert again.prompt.state == prompts.PROMPT_STATE_EXPIRED
    request.request_id = "other"
    found = await expect_refusal(world.jobs.CreateJob(request), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert "has passed" in found.violations["prompt.deadline"]


async def test_a_worker_that_asks_again_late_gets_the_answer(world: ServiceWorld) -> None:
    lease = await world.lease_new_job()
    asked_first = await world.ask(lease, "k", confirm(timeout=seconds(30)))
    await world.hitl.AnswerPrompt(answer(asked_first))
    past = Timestamp(seconds=5)
    for late in ({"deadline": past}, {"timeout": seconds(-5)}, {"timeout": Duration()}):
        again = await world.ask(lease, "k", confirm(**late))
        assert again.state == prompts.PROMPT_STATE_ANSWERED
        assert again.prompt_id == asked_first.prompt_id
        call = world.workers.AskPrompt(
            wpb.AskPromptRequest(
                job_id=lease.job.job_id, token=lease.token, key="new", content=confirm(**late)
            )
        )
        await expect_refusal(call, "INVALID_ARGUMENT", "INVALID_FIELD")


async def test_a_start_in_the_past_means_at_once(refunds: tuple[ServiceWorld, Client]) -> None:
    _, client = refunds
    run = await client.start("noop", delay=datetime(1, 1, 2, tzinfo=UTC))
    job = await run.job()
    assert job.ready_at == job.created_at


def test_server_settings_require_a_unit(tmp_path: Path) -> None:
    from askback_server.config.settings import ConfigError
    from askback_server.config.sources import load

    file = tmp_path / "askback.toml"
    for text in ("default=30", "COMPLETED=12h,FAILED=1.5", "default=59m", "team-a:FAILED=1s", "default=0d"):
        for flags, environment in (
            ({"retention": text}, {}),
            ({}, {"ASKBACK_RETENTION": text}),
            ({"config": str(file)}, {}),
        ):
            file.write_text(f"retention = {json.dumps(text)}\n")
            with pytest.raises(ConfigError, match=r"no unit|allow-short-retention|more than 0s"):
                load(flags, environment)
    file.write_text("[retention]\ndefault = 30\n")
    with pytest.raises(ConfigError, match="default=30 has no unit: write default=30d"):
        load({"config": str(file)}, {})
    config = load({"retention": "default=1s", "allow_short_retention": True, "lease_ttl": 30.0}, {})
    assert config.limits.retention_of("x", "FAILED") == timedelta(seconds=1)
    assert load({"retention": "default=1h"}, {}).limits.retention_of("x", "FAILED") == timedelta(hours=1)


async def test_serve_logs_the_parsed_retention(lite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "askback.server")
    async with serving(lite_url, retention="FAILED=36h,team-a:COMPLETED=90d"):
        pass
    assert "retention of ended jobs and their answers: default=30d, FAILED=36h, team-a:COMPLETED=90d" in (
        caplog.text
    )
