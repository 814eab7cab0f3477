"""The end of an id names a job or a prompt wherever an id does, among those that the caller may see."""

import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from askback.v1 import hitl_service_pb2 as hpb
from askback.v1 import job_service_pb2 as jpb
from askback_server.ports import clock
from tests.support.refusals import expect_refusal
from tests.support.requests import audience, confirm
from tests.support.service import ServiceWorld, serving
from tests.support.shell import Shell
from tests.support.token_files import TokenFile


async def test_a_handle_names_a_prompt_in_every_command(lite: ServiceWorld, shell: Shell) -> None:
    asked = [await lite.create_prompt(confirm(f"Q{n}")) for n in range(4)]
    ends = [prompt.prompt_id[-6:] for prompt in asked]
    shown = await shell.ok("inbox", "show", ends[0].upper())
    assert "Q0" in shown.out
    assert (await shell.ok("inbox", "show", asked[1].prompt_id[-10:])).out.count("Q1")
    approved = await shell.ok("inbox", "approve", "--yes", *ends[:2])
    assert approved.out.splitlines()[0].startswith(ends[0])
    answered = await shell.ok("inbox", "answer", ends[2], "--decision", "reject", "--comment", "no", "--json")
    assert answered.json["prompt"]["promptId"] == asked[2].prompt_id
    job = asked[3].job_id[-6:]
    listed = await shell.ok("inbox", "ls", "--job", job, "--json")
    assert [line["promptId"] for line in listed.lines] == [asked[3].prompt_id]
    by_key = await shell.ok("inbox", "show", f"{job}/{asked[3].key}", "--json")
    assert by_key.json["promptId"] == asked[3].prompt_id
    # Ended jobs and closed prompts keep their handles.
    assert (await shell.ok("inbox", "show", ends[0], "--json")).json["state"] == "ANSWERED"


async def test_a_handle_names_a_job_in_every_command(lite: ServiceWorld, shell: Shell) -> None:
    job = await lite.create("refund")
    end = job.job_id[-6:]
    assert (await shell.ok("job", "show", end, "--json")).json["job"]["jobId"] == job.job_id
    assert (await shell.ok("explain", end, "--json")).json["job"]["jobId"] == job.job_id
    assert (await shell.run("job", "retry", end)).code == 4  # it has not ended
    assert (await shell.run("job", "export", end, "--format", "vector")).code == 4
    cancelled = await shell.ok("job", "cancel", end, "--json")
    assert cancelled.json["jobId"] == job.job_id
    assert (await shell.run("job", "watch", end)).code == 5
    retried = await shell.ok("job", "retry", end, "--json")
    assert retried.json["retriedFromJobId"] == job.job_id


async def test_explain_accepts_the_handle_of_a_prompt(lite: ServiceWorld, shell: Shell) -> None:
    """The ids of `inbox ls` are those of prompts."""
    prompt = await lite.create_prompt(confirm())
    for name in (prompt.prompt_id[-6:], f"{prompt.job_id}/{prompt.key}", prompt.job_id[-6:]):
        assert prompt.job_id in (await shell.ok("explain", name)).out
    assert (await shell.run("explain", "ffffff")).code == 3


async def test_errors_distinguish_unknown_handles_and_beginnings_of_ids(
    shell: Shell, lite: ServiceWorld
) -> None:
    job = await lite.create("refund")
    for words in (["job", "show"], ["inbox", "show"]):
        none = await shell.run(*words, "abcdef")
        assert none.code == 3
        assert "whose id ends in 'abcdef'" in none.err
        assert "the end of an id" in none.err
        begins = await shell.run(*words, job.job_id[:8])  # new users try this first
        assert begins.code == 3
        short = await shell.run(*words, "cdef")
        assert short.code == 2
        assert "at least the last 6 characters" in short.err
        assert (await shell.run(*words, "refund")).code == 3
    assert (await shell.run("inbox", "show", "abcdef/key")).code == 3


async def test_a_handle_that_fits_several_is_refused_with_all_of_them(
    lite: ServiceWorld, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, count = clock._draw, itertools.count()

    def alike() -> str:
        random, end = drawn(), f"{next(count):x}abcdef"
        return random[: 19 - len(end)] + end + random[19:]

    monkeypatch.setattr(clock, "_draw", alike)
    made = await lite.create_prompt(confirm("First of two"))
    other = await lite.create_prompt(confirm("Second of two"))
    monkeypatch.undo()
    assert made.prompt_id[-6:] == other.prompt_id[-6:] == made.job_id[-6:] == "abcdef"
    for words in (["job", "show"], ["inbox", "show"], ["inbox", "answer", "--decision", "accept"]):
        both = await shell.run(*words, "abcdef")
        assert both.code == 2, both
        ids = [made.job_id, other.job_id] if words[0] == "job" else [made.prompt_id, other.prompt_id]
        assert all(i[-7:] in both.err for i in ids), both.err
        longer = await shell.ok(*words, ids[0][-7:], "--json")
        assert ids[0] in longer.out
    refusal = await shell.run("inbox", "approve", "--yes", "--json", "abcdef")
    assert refusal.code == 2
    assert all(prompt.prompt_id[-7:] in refusal.json["message"] for prompt in (made, other))
    listed = json.loads((await shell.run("job", "show", "abcdef", "--json")).err)
    assert set(listed["error"]["metadata"]["candidates"].split(",")) == {made.job_id, other.job_id}
    told = (await shell.run("inbox", "show", "abcdef")).err
    assert "[confirm] First of two" in told
    assert "[confirm] Second of two" in told


@pytest.fixture
async def guarded(lite_url: str, tmp_path: Path) -> AsyncIterator[ServiceWorld]:
    """A service with authentication by tokens `NAME-token`: ana and bob answer, cli asks."""
    people = TokenFile(tmp_path / "tokens.toml", cli={"roles": ["client"]}, ana={}, bob={})
    async with serving(lite_url, auth=str(people.path)) as world:
        yield world


async def test_a_handle_reveals_nothing_outside_the_audience(guarded: ServiceWorld, tmp_path: Path) -> None:
    """A console finds the prompts of its audience and their jobs. Others look like missing ones."""
    client = guarded.with_token("cli-token")
    request = jpb.CreateJobRequest(job_type="t", prompt=confirm("For ana", audience=audience("ana")))
    asked = (await client.jobs.CreateJob(request)).prompt
    by_id = hpb.PromptFilter(id_suffix=asked.prompt_id[-6:])
    by_job = hpb.PromptFilter(job_id_suffix=asked.job_id[-6:])
    for filter in (by_id, by_job):
        page = hpb.ListPromptsRequest(filter=filter)
        found = [
            len((await guarded.with_token(f"{who}-token").hitl.ListPrompts(page)).prompts)
            for who in ("ana", "bob", "cli")
        ]
        assert found == [1, 0, 1]
        totals = (await guarded.with_token("bob-token").hitl.ListPrompts(page)).total_size
        assert totals == 0
    shells = {
        who: Shell(tmp_path, f"127.0.0.1:{guarded.service.port}", ASKBACK_TOKEN=f"{who}-token")
        for who in ("ana", "bob", "cli")
    }
    try:
        named = [asked.prompt_id[-6:], f"{asked.job_id[-6:]}/{asked.key}"]
        for name in named:
            assert (await shells["ana"].ok("inbox", "show", name, "--json")).json[
                "promptId"
            ] == asked.prompt_id
            assert (await shells["cli"].ok("inbox", "show", name, "--json")).json[
                "promptId"
            ] == asked.prompt_id
            hidden = await shells["bob"].run("inbox", "show", name)
            absent = await shells["bob"].run("inbox", "show", name.replace(name[:6], "0a0a0a"))
            assert (hidden.code, hidden.err.replace(name[:6], "0a0a0a")) == (3, absent.err)
    finally:
        for shell in shells.values():
            shell.end()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("suffix", ["abcde", "ABCDEF", "ghijkl", "%abcdef", "0" * 37, "abc\0def"])
async def test_only_the_end_of_an_id_is_accepted_as_a_handle(shared_lite: ServiceWorld, suffix: str) -> None:
    calls: list[Any] = [
        shared_lite.jobs.ListJobs(jpb.ListJobsRequest(filter=jpb.JobFilter(id_suffix=suffix))),
        shared_lite.hitl.ListPrompts(hpb.ListPromptsRequest(filter=hpb.PromptFilter(id_suffix=suffix))),
        shared_lite.hitl.ListPrompts(hpb.ListPromptsRequest(filter=hpb.PromptFilter(job_id_suffix=suffix))),
    ]
    for call in calls:
        await expect_refusal(call, "INVALID_ARGUMENT", "INVALID_FIELD")


async def test_a_watch_refuses_filters_that_only_lists_have(lite: ServiceWorld) -> None:
    given: dict[str, Any] = {"id_suffix": "abcdef", "job_id_suffix": "abcdef", "mine": True, "overdue": True}
    given["answered_by"] = "ana"
    for field, value in given.items():
        watch = hpb.WatchPromptsRequest(filter=hpb.PromptFilter(**{field: value}))
        with pytest.raises(Exception, match="narrows lists only"):
            async for _ in lite.hitl.WatchPrompts(watch):
                pass


async def test_job_lists_are_counted_on_request(lite: ServiceWorld) -> None:
    for number in range(3):
        await lite.create("one" if number else "two")
    page = await lite.jobs.ListJobs(jpb.ListJobsRequest(page_size=1))
    assert (len(page.jobs), page.total_size) == (1, 0)
    counted = jpb.ListJobsRequest(page_size=1, count=True, filter=jpb.JobFilter(job_types=["one"]))
    page = await lite.jobs.ListJobs(counted)
    assert (len(page.jobs), page.total_size) == (1, 2)


async def test_job_show_prints_who_cancelled_and_the_reason(lite: ServiceWorld) -> None:
    """Without a holder and while a worker still holds it. The first caller who asked is shown."""
    job = await lite.create()
    await lite.as_user("bob").jobs.CancelJob(jpb.CancelJobRequest(job_id=job.job_id, reason="wrong account"))
    found = await lite.job(job.job_id)
    assert (found.cancel_reason, found.cancelled_by) == ("wrong account", "bob")
    held = (await lite.lease_new_job()).job
    await lite.as_user("cy").jobs.CancelJob(jpb.CancelJobRequest(job_id=held.job_id, reason="stop"))
    await lite.as_user("bob").jobs.CancelJob(jpb.CancelJobRequest(job_id=held.job_id, reason="me too"))
    found = await lite.job(held.job_id)
    assert (found.cancel_reason, found.cancelled_by) == ("stop", "cy")
