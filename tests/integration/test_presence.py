"""Unattended prompts: in the asker's reply, in lists and events, and at the terminal."""

from __future__ import annotations

import asyncio

import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as prompts
from askback_server.engine import presence
from askback_server.sessions.view_presence import MAX_SILENT_BEATS
from tests.support.refusals import SOON, expect_refusal
from tests.support.requests import answer, audience, confirm, form
from tests.support.service import ServiceWorld, serving
from tests.support.shell import Shell
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mark unattended prompts at once."""
    monkeypatch.setattr(presence, "LINGER_SECONDS", 0.0)
    monkeypatch.setattr(presence, "INTERVAL_SECONDS", 0.02)


async def wait_until_settled(world: ServiceWorld) -> None:
    await until(lambda: world.service.replica.presence._index.is_settled)


async def list_unattended(world: ServiceWorld, **filter: str) -> list[str]:
    request = hitl.ListPromptsRequest(filter=hitl.PromptFilter(unattended=True, **filter))
    return [p.prompt_id for p in (await world.hitl.ListPrompts(request)).prompts]


async def wait_for_mark(world: ServiceWorld, prompt: prompts.Prompt, wanted: bool) -> None:
    """Wait until the prompt is marked, or until the mark is removed."""
    async with asyncio.timeout(SOON):
        while (await world.prompt(prompt.prompt_id)).HasField("unattended_time") is not wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_prompt_is_marked_unattended_while_its_audience_is_absent(world: ServiceWorld) -> None:
    await wait_until_settled(world)
    lease = await world.lease_new_job()
    prompt = await world.ask(lease, "a", confirm(audience=audience("bob")))
    assert prompt.HasField("unattended_time")
    assert await list_unattended(world) == []  # ada may not see it
    assert await list_unattended(world, job_id=lease.job.job_id) == [prompt.prompt_id]
    console = world.console(world.as_user("bob"))
    await console.hello()
    await wait_for_mark(world, prompt, False)
    assert await list_unattended(world, job_id=lease.job.job_id) == []
    second = await world.ask(lease, "b", confirm(audience=audience("bob")))
    assert not second.HasField("unattended_time")
    await console.aclose()
    await wait_for_mark(world, prompt, True)
    await wait_for_mark(world, second, True)
    found = await world.as_user("bob").hitl.AnswerPrompt(answer(prompt))
    assert not found.result.prompt.HasField("unattended_time")
    log = await world.service.replica.jobs.list_events(lease.job.job_id, 0, 100)
    assert [e.type.value for e in log if e.prompt_id == prompt.prompt_id] == [
        "PROMPT_ASKED",
        "PROMPT_UNATTENDED",
        "PROMPT_ATTENDED",
        "PROMPT_UNATTENDED",
        "PROMPT_ANSWERED",
    ]


async def test_a_watch_of_prompts_is_no_presence(lite: ServiceWorld) -> None:
    """It reads only: a bridge, a log or a forgotten curl must not look like a person who can answer."""
    await wait_until_settled(lite)
    law = lite.as_user("ann", "law")
    call = law.hitl.WatchPrompts(hitl.WatchPromptsRequest())
    await call.read()
    prompt = await lite.create_prompt(confirm(audience=audience(groups=["law"])))
    assert prompt.HasField("unattended_time")
    assert lite.service.replica.presence.count_consoles("default") == (0, 0)
    console = lite.console(law)
    await console.hello()
    await wait_for_mark(lite, prompt, False)
    call.cancel()


async def test_a_console_without_heartbeats_is_not_present(lite_url: str) -> None:
    """Its stream stays open: a laptop that sleeps, or a client that was written without heartbeats."""
    async with serving(lite_url, heartbeat=0.05) as world:
        await wait_until_settled(world)
        console = world.console()
        await console.hello()
        await console.snapshot()
        prompt = await world.create_prompt(confirm())
        await wait_for_mark(world, prompt, True)
        await console.send(hitl.ConverseClientFrame(heartbeat=hitl.ConverseHeartbeat()))
        await wait_for_mark(world, prompt, False)
        await wait_for_mark(world, prompt, True)
        assert world.service.replica.presence.count_consoles("default") == (0, 0)


async def test_a_console_with_heartbeats_stays_present(lite_url: str) -> None:
    async with serving(lite_url, heartbeat=0.05) as world:
        await wait_until_settled(world)
        console = world.console()
        await console.hello()
        prompt = await world.create_prompt(confirm())
        # One for each of the server's, for longer than the server waits.
        for _ in range(3 * MAX_SILENT_BEATS):
            while (await console.any_frame()).WhichOneof("body") != "heartbeat":
                pass
            await console.send(hitl.ConverseClientFrame(heartbeat=hitl.ConverseHeartbeat()))
        log = await world.service.replica.jobs.list_events(prompt.job_id, 0, 100)
        assert "PROMPT_UNATTENDED" not in [e.type.value for e in log]


async def test_a_watch_refuses_the_unattended_filter(lite: ServiceWorld) -> None:
    """A view follows changes of prompts, not of presence."""
    request = hitl.WatchPromptsRequest(filter=hitl.PromptFilter(unattended=True))
    found = await expect_refusal(lite.hitl.WatchPrompts(request).read(), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert set(found.violations) == {"filter.unattended"}


async def test_the_command_line_shows_unattended_prompts(lite: ServiceWorld, shell: Shell) -> None:
    await wait_until_settled(lite)
    missed = await lite.create_prompt(confirm("Deploy?"))
    listed = await shell.ok("inbox", "ls")
    assert "1 open; no one else is here to answer them" in listed.err
    console = lite.console()
    await console.hello(filter=hitl.PromptFilter(kinds=["confirm"]))
    await wait_for_mark(lite, missed, False)
    other = await lite.create_prompt(form("How many?"))
    assert "2 open; no one else is here to answer 1 of them" in (await shell.ok("inbox", "ls")).err
    page = await shell.ok("inbox", "ls", "--limit", "1")
    assert page.err == "2 open, 1 shown; --limit 0 lists all; no one else is here to answer 1 of them\n"
    only = await shell.ok("inbox", "ls", "--unattended", "--json")
    assert only.json["promptId"] == other.prompt_id
    assert "unattended_time" in str(only.json) or "unattendedTime" in str(only.json)
    found = await shell.ok("explain", other.job_id)
    assert "no one who may answer has a console open; noticed" in found.out
    assert "no one who may answer has a console open" in found.out
    assert (await shell.ok("explain", other.job_id, "--json")).json["prompts"][0]["unattended"]["since"]
    assert (await shell.ok("explain", missed.job_id, "--json")).json["prompts"][0]["unattended"] is None
