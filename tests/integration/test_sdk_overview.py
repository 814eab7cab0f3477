"""`Client.overview` and `askback overview`: the figures of GetOverview with Python types, and as tables."""

import asyncio
import re
from dataclasses import fields
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

import askback.sync
from askback import ActivityCounts, Client, InvalidArgument, InvalidTime, Overview
from askback.v1 import job_service_pb2 as pb
from tests.support.requests import answer, confirm
from tests.support.service import Caller, ServiceWorld
from tests.support.shell import Shell

MEASURES = [each.name for each in fields(ActivityCounts) if "_" in each.name]


def client(world: ServiceWorld, **options: Any) -> Client:
    return Client(f"127.0.0.1:{world.service.port}", **options)


async def ask(caller: Caller, job_type: str = "refund", **content: Any) -> Any:
    request = pb.CreateJobRequest(job_type=job_type, prompt=confirm(**content))
    return (await caller.jobs.CreateJob(request)).prompt


async def fill(world: ServiceWorld) -> Any:
    """Two questions wait, one was answered, all is counted. Returns the oldest."""
    first = await ask(world, title="Pay?", priority=5)
    await ask(world, kind="clarify", title="How?")
    await world.hitl.AnswerPrompt(answer(await ask(world)))
    await world.service.replica.sweep.sweep()
    return first


async def test_the_client_returns_typed_figures(lite: ServiceWorld) -> None:
    first = await fill(lite)
    async with client(lite) as asker:
        found = await asker.overview()
        week = await asker.overview(window=timedelta(days=7))
    assert isinstance(found, Overview)
    kind = first.content.kind
    assert (found.waiting.total, found.partial) == (2, False)
    assert {name: each.total for name, each in found.by_kind.items()} == {kind: 1, "clarify": 1}
    assert {number: each.total for number, each in found.by_priority.items()} == {5: 1, 0: 1}
    bounds = [bound for bound, _ in found.waiting.by_age]
    assert bounds == [timedelta(seconds=s) for s in (60, 300, 3_600, 86_400, 604_800)] + [None]
    assert sum(n for _, n in found.waiting.by_age) == 2
    oldest = found.oldest[0]
    assert (oldest.prompt_id, oldest.title, oldest.priority) == (first.prompt_id, "Pay?", 5)
    assert oldest.created_at == first.create_time.ToDatetime(tzinfo=UTC)
    assert (oldest.expires_at, oldest.claimed_by) == (None, "")
    assert found.connected is not None
    assert found.connected.workers == 0
    activity = found.activity
    assert activity is not None
    assert (activity.total.prompts_asked, activity.total.prompts_answered) == (3, 1)
    p50, p90, p99 = activity.total.p50, activity.total.p90, activity.total.p99
    assert p50 is not None
    assert p90 is not None
    assert p99 is not None
    assert timedelta(0) < p50 < p90 < p99
    assert activity.step == timedelta(hours=1)
    assert next(iter(activity.points)) == activity.start
    assert len(activity.points) in (24, 25)
    assert sum(each.jobs_created for each in activity.points.values()) == 3
    assert activity.by_type["refund", kind].prompts_answered == 1
    assert activity.by_type["refund", ""].jobs_created == 3
    assert week.activity is not None
    assert week.activity.step == timedelta(hours=3)
    assert found.proto.waiting.total == 2


async def test_an_empty_service_and_the_sync_client(lite: ServiceWorld) -> None:
    def read() -> Overview:
        with askback.sync.Client(f"127.0.0.1:{lite.service.port}") as blocking:
            return blocking.overview(window=3_600)

    found = await asyncio.to_thread(read)
    assert (found.waiting.total, found.oldest, found.by_kind) == (0, (), {})
    assert found.activity is not None
    total = found.activity.total
    assert [getattr(total, name) for name in MEASURES] == [0] * 10
    assert (total.p50, total.p90, total.p99) == (None, None, None)


async def test_a_window_that_cannot_be_is_refused(lite: ServiceWorld) -> None:
    async with client(lite) as asker:
        with pytest.raises(InvalidTime, match="window="):
            await asker.overview(window=0)
        with pytest.raises(InvalidArgument) as refused:
            await asker.overview(window=timedelta(days=31))
        assert [violation.field for violation in refused.value.violations] == ["window"]


async def test_a_console_gets_its_own_figures(world_with_tokens: ServiceWorld, tmp_path: Path) -> None:
    world = world_with_tokens
    async with client(world, token="client-token") as asker:
        await asker.ask("For law?", to=["group:law"])
        await asker.ask("For an admin?", to=["user:admin"])
    async with client(world, token="console-token") as person:
        found = await person.overview()
    assert [each.title for each in found.oldest] == ["For law?"]
    assert (found.connected, found.activity) == (None, None)
    shell = Shell(tmp_path, f"127.0.0.1:{world.service.port}")
    shown = await shell.ok("overview", ASKBACK_TOKEN="console-token")
    assert "1 question waits" in shown.out
    assert "ASKED" not in shown.out
    assert "role client sees all" in shown.err


async def test_the_command_prints_tables_for_people(lite: ServiceWorld, shell: Shell) -> None:
    first = await fill(lite)
    out = (await shell.ok("overview")).out
    assert out.startswith("2 questions wait; 0 unattended\n")
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line}
    assert rows["clarify"][1:3] == ["1", "0"]
    assert rows["all"][1:] == ["3", "1", "0"]
    assert re.search(rf"\w*{first.prompt_id[-6:]} .* Pay\?", out)
    assert re.search(r"^connected: 0 people with 0 open views, 0 workers$", out, re.MULTILINE)
    [counts] = [line.split() for line in out.splitlines() if line.startswith("refund confirm")]
    assert counts[2:5] == ["2", "1", "0"]
    verbose = (await shell.ok("overview", "-v", "--window", "1h")).out
    assert first.prompt_id in verbose
    assert len(re.findall(r"^\d{4}-\d\d-\d\dT\d\d:00:00", verbose, re.MULTILINE)) in (2, 4)


async def test_the_command_prints_json_for_programs(lite: ServiceWorld, shell: Shell) -> None:
    first = await fill(lite)
    found = (await shell.ok("overview", "--json")).json
    assert found["waiting"]["total"] == 2
    assert found["oldest"][0]["promptId"] == first.prompt_id
    assert found["activity"]["total"] == {
        "jobsCreated": 3,
        "jobsCompleted": 1,
        "promptsAsked": 3,
        "promptsAnswered": 1,
    }
    refused = await shell.run("overview", "--window", "1m")
    assert refused.code == 2
    assert "--window" in refused.err


async def test_an_empty_service_is_said_in_words(lite: ServiceWorld, shell: Shell) -> None:
    out = (await shell.ok("overview")).out
    assert out.startswith("nothing waits for an answer\n")
    assert "KIND" not in out
