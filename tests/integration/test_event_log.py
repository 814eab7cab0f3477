"""The log line of each business event: actor, action and object, without any content."""

import asyncio
import json
import logging
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as workers
from askback_server.structured_logs import JsonLines, TextLines
from tests.support.refusals import SOON
from tests.support.requests import (
    CANCELLED,
    COMPLETED,
    FAILED,
    REJECT,
    RESPOND,
    answer,
    confirm,
    form,
    seconds,
)
from tests.support.service import ServiceWorld

SECRET = "zq-private"
"""Part of every text written by a person or a program. No line may contain it."""


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="askback.server.events")
    return caplog


def _lines(events: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    records = [r for r in events.records if r.name == "askback.server.events"]
    lines = [JsonLines().format(record) for record in records] + [TextLines().format(r) for r in records]
    assert not [line for line in lines if SECRET in line or "\n" in line]
    return [json.loads(line) for line in lines[: len(records)]]


def _messages_and_actors(events: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(line["message"], line["by"]) for line in _lines(events)]


async def test_the_log_describes_a_job_without_its_content(
    lite: ServiceWorld, events: pytest.LogCaptureFixture
) -> None:
    lease = await lite.lease_new_job(input_json=json.dumps({"note": SECRET}), labels={"note": SECRET})
    prompt = await lite.ask(lease, "how-many", form(SECRET, body=SECRET))
    ana = lite.as_user("ana")
    await ana.hitl.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=prompt.prompt_id))
    request = answer(
        prompt, decision=RESPOND, values_json=json.dumps({"n": 3, "why": SECRET}), comment=SECRET
    )
    await ana.hitl.AnswerPrompt(request)
    done = workers.CompleteJobRequest(job_id=lease.job.job_id, token=lease.token, result_json=f'"{SECRET}"')
    await lite.workers.CompleteJob(done)
    assert _messages_and_actors(events) == [
        ("job created", "ada"),
        ("prompt asked", "w"),
        ("prompt claimed", "ana"),
        ("prompt answered", "ana"),
        ("job completed", "w"),
    ]
    answered = _lines(events)[3]
    expected = {
        "by": "ana",
        "decision": "RESPOND",
        "key": "how-many",
        "kind": "clarify",
        "job_type": "t",
        "job_id": lease.job.job_id,
        "prompt_id": prompt.prompt_id,
        "namespace": "default",
        "level": "INFO",
        "event": "PROMPT_ANSWERED",
    }
    assert {name: answered.get(name) for name in expected} == expected


async def test_the_log_names_every_other_end_of_jobs_and_prompts(
    lite: ServiceWorld, events: pytest.LogCaptureFixture
) -> None:
    failing = await lite.lease_new_job()
    failure = job_pb2.Failure(code="Declined", message=SECRET, details_json=f'"{SECRET}"')
    await lite.workers.FailJob(
        workers.FailJobRequest(job_id=failing.job.job_id, token=failing.token, failure=failure)
    )
    await lite.state(failing.job.job_id, FAILED)
    withdrawn = await lite.create_prompt(confirm(SECRET))
    await lite.hitl.CancelPrompt(hitl.CancelPromptRequest(prompt_id=withdrawn.prompt_id, reason=SECRET))
    late = answer(withdrawn, comment=SECRET)
    with pytest.raises(Exception, match="CANCELLED"):
        await lite.as_user("bob").hitl.AnswerPrompt(late)
    cancelled = await lite.create()
    await lite.jobs.CancelJob(jobs.CancelJobRequest(job_id=cancelled.job_id, reason=SECRET))
    await lite.state(cancelled.job_id, CANCELLED)
    await lite.jobs.DeleteJob(jobs.DeleteJobRequest(job_id=cancelled.job_id))
    told = _messages_and_actors(events)
    for line in (
        ("job failed", "w"),
        ("prompt cancelled", "ada"),
        ("answer came too late", "bob"),
        ("job cancelled", "ada"),
        ("job deleted", "ada"),
    ):
        assert line in told, (line, told)
    assert next(line["code"] for line in _lines(events) if line["message"] == "job failed") == "Declined"


async def test_the_log_marks_a_default_answer(lite: ServiceWorld, events: pytest.LogCaptureFixture) -> None:
    content = confirm(SECRET, timeout=seconds(0.1), final_action=prompts.FINAL_ACTION_DEFAULT)
    content.default_answer.decision = REJECT
    prompt = await lite.create_prompt(content)
    await lite.state(prompt.job_id, COMPLETED)
    [answered] = [line for line in _lines(events) if line["message"] == "prompt answered"]
    assert (answered["by"], answered["source"], answered["decision"]) == (
        "system",
        "TIMEOUT_DEFAULT",
        "REJECT",
    )


async def test_a_disabled_log_formats_no_lines(lite: ServiceWorld, caplog: Any) -> None:
    caplog.set_level(logging.WARNING, logger="askback.server.events")
    await lite.create_prompt()
    assert not [r for r in caplog.records if r.name == "askback.server.events"]


async def test_a_disconnecting_client_logs_no_line(
    lite: ServiceWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """Its connection watched the health service, and can only cancel that."""
    caplog.set_level(logging.DEBUG, logger="askback.server.calls")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{lite.service.port}") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=SOON)
        await watch.read()
        watch.cancel()
    async with asyncio.timeout(SOON):
        while not (lines := [r for r in caplog.records if "Health/Watch" in r.getMessage()]):
            await lite.jobs.ListJobs(jobs.ListJobsRequest())
    assert {line.levelname for line in lines} == {"DEBUG"}
