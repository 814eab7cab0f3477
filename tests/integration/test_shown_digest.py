"""The digest of what is shown: equal for all readers, a guard of answers, and sent by our consoles."""

from __future__ import annotations

from typing import Any

import pytest

from askback import Client, PromptStale
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as pb
from askback.v1 import worker_service_pb2 as workers
from tests.support.refusals import expect_refusal
from tests.support.requests import ACCEPT, RESPOND, answer, confirm, form, of
from tests.support.service import ServiceWorld
from tests.support.shell import Shell
from tests.support.shown_documents import digest_of_content
from tests.support.wire_samples import full_content

STALE = pb.ANSWER_STATUS_STALE
NO_PROMPTS = hitl.PromptFilter(kinds=["none"])
"""The filter of a console that gets only the replies to what it sends."""


async def test_all_readers_get_the_digest_that_they_can_compute(world: ServiceWorld) -> None:
    console = world.console()
    await console.hello()
    await console.snapshot()
    lease = await world.lease_new_job()
    content = full_content()
    content.ClearField("audience")
    content.ClearField("exclude")  # it would hide the prompt from who asks
    content.contents.add(content_id="empty", text="")
    asked = await world.ask(lease, "k", content)
    assert asked.shown_digest == digest_of_content(asked.content)
    by_id = hitl.GetPromptRequest(prompt_id=asked.prompt_id)
    by_job = hitl.ListPromptsRequest(filter=hitl.PromptFilter(job_id=asked.job_id))
    for prompt in (
        (await console.event("upserted")).prompt,
        (await world.hitl.GetPrompt(by_id)).prompt,
        (await world.hitl.ListPrompts(by_job)).prompts[0],
        (await world.jobs.GetJob(jobs.GetJobRequest(job_id=asked.job_id))).open_prompts[0],
        await world.ask(lease, "k", content),
    ):
        assert (prompt.prompt_id, prompt.shown_digest) == (asked.prompt_id, asked.shown_digest)
        assert prompt.shown_digest == digest_of_content(prompt.content)
    amended = await world.amend(lease, "k", "Other?")
    assert amended.shown_digest == digest_of_content(amended.content) != asked.shown_digest


@pytest.mark.parametrize("path", ["unary", "stream"])
async def test_an_answer_to_content_that_was_not_shown_is_stale(world: ServiceWorld, path: str) -> None:
    lease = await world.lease_new_job()
    before = await world.ask(lease, "k", form("One?"))
    after = await world.ask(lease, "k", form("Two?"))
    console = world.console()
    await console.hello(filter=NO_PROMPTS)
    await console.snapshot()

    async def send(answer_id: str, digest: str) -> Any:
        said = answer(after, answer_id, RESPOND, values_json='{"n": 1}', shown_digest=digest)
        if path == "stream":
            return (await console.ask(answer_prompt=said)).result
        if answer_id == "seen":
            return (await world.hitl.AnswerPrompt(said)).result
        return (await expect_refusal(world.hitl.AnswerPrompt(said), "ABORTED", "PROMPT_STALE")).result

    # The number of the newest revision with the digest of the one before, as after a restore of the database.
    for replayed in (False, True):
        result = await send("unseen", before.shown_digest)
        assert (result.status, result.replayed) == (STALE, replayed)
        assert result.prompt.shown_digest == after.shown_digest
    assert (await send("seen", after.shown_digest)).status == pb.ANSWER_STATUS_ACCEPTED
    [refused, taken] = (
        await world.hitl.ListAnswers(hitl.ListAnswersRequest(prompt_id=after.prompt_id))
    ).answers
    assert (refused.status, refused.answer.answer_id) == (STALE, "unseen")
    assert (taken.status, taken.answer.answer_id) == (pb.ANSWER_STATUS_ACCEPTED, "seen")


async def test_a_malformed_digest_is_refused_by_both_paths(lite: ServiceWorld) -> None:
    prompt = await lite.create_prompt()
    console = lite.console()
    await console.hello(filter=NO_PROMPTS)
    await console.snapshot()
    for digest in ("x", prompt.shown_digest.upper(), "0" * 300):
        said = answer(prompt, shown_digest=digest)
        found = await expect_refusal(lite.hitl.AnswerPrompt(said), "INVALID_ARGUMENT", "INVALID_FIELD")
        assert [*found.violations] == ["shown_digest"]
        await console.ask_refused("INVALID_ARGUMENT", "INVALID_FIELD", answer_prompt=said)
    assert (await lite.prompt(prompt.prompt_id)).submissions == 0


async def test_a_rewording_keeps_the_digest_of_what_people_answered(lite: ServiceWorld) -> None:
    lease = await lite.lease_new_job()
    asked = await lite.ask(lease, "k", confirm("Go on?"))
    await lite.hitl.AnswerPrompt(answer(asked, shown_digest=asked.shown_digest))
    again = await lite.ask(lease, "k", confirm("Go on, please?"), same=True)
    assert again.rewording.asked_digest
    assert again.shown_digest == asked.shown_digest == digest_of_content(again.content)
    # In a retry the prompt has the wording of the new job, which no person was shown, and its digest.
    await lite.workers.FailJob(workers.FailJobRequest(**of(lease)))
    retry = jobs.RetryJobRequest(job_id=lease.job.job_id)
    await lite.jobs.RetryJob(retry)
    [repeated] = (await lite.lease(lease.job.job_type)).jobs
    carried = await lite.ask(repeated, "k", confirm("Go on now?"), same=True)
    assert carried.resolution.answer.decision == ACCEPT
    assert carried.shown_digest == digest_of_content(carried.content) != asked.shown_digest


async def test_the_client_answers_what_was_shown(lite: ServiceWorld) -> None:
    lease = await lite.lease_new_job()
    asked = await lite.ask(lease, "k", confirm("One?"))
    async with Client(f"127.0.0.1:{lite.service.port}", user="ana") as client:
        shown = await client.prompt(asked.prompt_id)
        assert shown.shown_digest == asked.shown_digest
        with pytest.raises(PromptStale):
            await client.answer(asked.prompt_id, "ACCEPT", shown_digest="0" * 64)
        # A server that gives the number of the shown revision again, to other content.
        amended = await lite.amend(lease, "k", "Two?")
        shown.proto.revision = amended.revision
        with pytest.raises(PromptStale):
            await client.answer(shown, "ACCEPT")
        async with client.console() as console:
            prompt = await anext(aiter(console))
            digest, prompt.proto.shown_digest = prompt.shown_digest, shown.shown_digest
            with pytest.raises(PromptStale):
                await prompt.approve()
            prompt.proto.shown_digest = digest
            await prompt.approve()


async def test_an_older_server_without_digests_is_answered_by_revision(lite: ServiceWorld) -> None:
    asked = await lite.create_prompt(confirm())
    async with Client(f"127.0.0.1:{lite.service.port}", user="ana") as client:
        shown = await client.prompt(asked.prompt_id)
        shown.proto.ClearField("shown_digest")
        assert (await client.answer(shown, "ACCEPT")).status == "ACCEPTED"


async def test_the_inbox_commands_show_the_digest(lite: ServiceWorld, shell: Shell) -> None:
    lease = await lite.lease_new_job()
    asked = await lite.ask(lease, "k", confirm("Deploy?"))
    assert f"digest      {asked.shown_digest}" in (await shell.ok("inbox", "show", asked.prompt_id)).out
    shown = (await shell.ok("inbox", "show", "--json", asked.prompt_id)).out
    assert f'"shownDigest": "{asked.shown_digest}"' in shown
    await lite.amend(lease, "k", "Deploy now?")
    stale = await shell.run("inbox", "approve", asked.prompt_id, "--revision", "1")
    assert stale.code == 4
    await shell.ok("inbox", "approve", asked.prompt_id, "--revision", "2")
