"""`askback explain`: who can answer, what happened, what the deadline does, and which command helps."""

import json
import re
import shlex
from typing import Any

import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as workers
from tests.support.refusals import outcome
from tests.support.requests import (
    ACCEPT,
    COMPLETED,
    REJECT,
    RESPOND,
    answer,
    audience,
    confirm,
    form,
    seconds,
)
from tests.support.service import ServiceWorld
from tests.support.shell import Shell
from tests.support.streams import ABSENT_ID


async def _explain(shell: Shell, job_id: str, *words: str) -> tuple[str, Any]:
    """The explanation as text and as JSON."""
    text = (await shell.ok("explain", job_id, *words)).out
    return text, (await shell.ok("explain", job_id, *words, "--json")).json


async def test_explain_says_who_can_answer(lite: ServiceWorld, shell: Shell) -> None:
    """All users or those named in the audience. The suggested command works for a user who may answer."""
    open_to_all = await lite.create_prompt(confirm("Deploy?"))
    text, found = await _explain(shell, open_to_all.job_id)
    [asked] = found["prompts"]
    assert asked["canAnswer"]["everybody"]
    assert asked["commands"] == [
        f"askback inbox approve {open_to_all.prompt_id}",
        f"askback inbox reject {open_to_all.prompt_id}",
    ]
    assert "everyone with the console role in default; admins too" in text
    named = await lite.create_prompt(confirm("Deploy?", audience=audience("bob", groups=["release"])))
    text, found = await _explain(shell, named.job_id)
    [asked] = found["prompts"]
    assert asked["canAnswer"]["users"] == ["bob"]
    assert asked["canAnswer"]["groups"] == ["release"]
    assert asked["commands"][0] == f"askback inbox approve {named.prompt_id} --group release"
    assert "user bob, group release" in text
    _, found = await _explain(shell, named.job_id, "--user", "bob")
    assert found["prompts"][0]["commands"][0] == f"askback inbox approve {named.prompt_id} --user bob"
    only = await lite.create_prompt(confirm("Deploy?", audience=audience("bob")))
    _, found = await _explain(shell, only.job_id)
    assert found["prompts"][0]["commands"][0].endswith(" --user bob")


async def test_the_command_of_explain_unblocks_the_job(lite: ServiceWorld, shell: Shell) -> None:
    """A user outside the audience runs the command unchanged: its --group option puts the user into it."""
    asked = await lite.create_prompt(confirm("Deploy?", audience=audience("bob", groups=["release desk"])))
    refused = await shell.run("inbox", "approve", asked.prompt_id, "--yes")
    assert refused.code == 3
    _, found = await _explain(shell, asked.job_id)
    command = shlex.split(found["prompts"][0]["commands"][0])
    assert command[0] == "askback"
    await shell.ok(*command[1:], "--yes")
    assert (await lite.job(asked.job_id)).state == COMPLETED


async def test_explain_suggests_answer_for_a_form(lite: ServiceWorld, shell: Shell) -> None:
    asked = await lite.create_prompt(form())
    _, found = await _explain(shell, asked.job_id)
    assert found["prompts"][0]["commands"][0] == f"askback inbox answer {asked.prompt_id}"


@pytest.mark.parametrize(
    ("content", "action", "words"),
    [
        ({}, "EXPIRE", "the job learns that there was no answer"),
        (
            {"final_action": prompts.FINAL_ACTION_FAIL_JOB},
            "FAIL_JOB",
            "the question expires and the job fails",
        ),
        (
            {
                "final_action": prompts.FINAL_ACTION_DEFAULT,
                "default_answer": prompts.DefaultAnswer(decision=REJECT),
            },
            "DEFAULT",
            "the default answer is taken: no",
        ),
    ],
    ids=["expire", "fail", "default"],
)
async def test_explain_says_what_the_deadline_does(
    lite: ServiceWorld, shell: Shell, content: dict[str, Any], action: str, words: str
) -> None:
    leased = await lite.lease_new_job()
    await lite.ask(leased, "pay", confirm("Pay?", timeout=seconds(4 * 3600), **content))
    await lite.ask(leased, "later", confirm("And then?"))
    text, found = await _explain(shell, leased.job.job_id)
    first, second = found["prompts"]
    assert first["deadline"]["action"] == action
    assert first["deadline"]["time"] == first["prompt"]["expireTime"]
    assert words in text
    assert re.search(r"deadline\s+in 4 h \((\d+ \w+ )?\d\d:\d\d \w+\)", text)
    assert second["deadline"] is None
    assert "none: it waits until it is answered" in text
    assert found["summary"] == "waits for people: 2 questions must be answered"


async def test_explain_lists_claims_answers_and_refusals(lite: ServiceWorld, shell: Shell) -> None:
    """Read from events and audit, with the answers and the reasons of refusals."""
    leased = await lite.lease_new_job()
    prompt = await lite.ask(leased, "how", form("How many?"))
    bob = lite.as_user("bob")
    wrong = answer(prompt, "a-1", RESPOND, values_json='{"n": "many"}')
    assert await outcome(bob.hitl.AnswerPrompt(wrong)) == "INVALID_ARGUMENT"
    await lite.amend(leased, "how", "How many now?")
    stale = answer(prompt, "a-2", ACCEPT)
    assert await outcome(bob.hitl.AnswerPrompt(stale)) == "ABORTED"
    claim = hitl.ClaimPromptRequest(prompt_id=prompt.prompt_id, duration=seconds(600))
    await lite.as_user("eve").hitl.ClaimPrompt(claim)
    text, found = await _explain(shell, leased.job.job_id)
    [asked] = found["prompts"]
    assert [(step["type"], step["actor"]) for step in asked["history"]] == [
        ("PROMPT_ASKED", "w"),
        ("ANSWER_REFUSED", "bob"),
        ("PROMPT_AMENDED", "w"),
        ("ANSWER_REFUSED", "bob"),
        ("PROMPT_CLAIMED", "eve"),
    ]
    assert 'bob answered \'answered\' {"n": "many"} and was refused (INVALID): values_json/n: ' in text
    assert "bob answered 'yes' and was refused (STALE): the question had changed since it was shown" in text
    assert asked["claim"]["by"] == "eve"
    assert re.search(r"claimed\s+by eve; the claim ends in 10 min \(.*\), until then no one else", text)


async def test_explain_describes_jobs_that_do_not_wait_for_people(lite: ServiceWorld, shell: Shell) -> None:
    """Queued, in backoff, running, asked to stop, ended: what the job waits for, and a command."""
    job_id = (await lite.create("refund", max_attempts=2)).job_id
    text, found = await _explain(shell, job_id)
    assert "for a worker: start one for the job type 'refund'" in text
    assert found["commands"] == [f"askback job watch {job_id}"]
    [leased] = (await lite.lease("refund")).jobs
    text, _ = await _explain(shell, job_id)
    assert "runs at the worker w, attempt 1" in text
    failure = job_pb2.Failure(code="Empty", message="no money")
    failed = workers.FailJobRequest(
        job_id=job_id, token=leased.token, failure=failure, retryable=True, retry_delay=seconds(3600)
    )
    await lite.workers.FailJob(failed)
    text, _ = await _explain(shell, job_id)
    assert re.search(r"tries again in (1 h|\d\d min) \(.*\) after a failed attempt \(Empty: no money\)", text)
    await lite.jobs.CancelJob(jobs.CancelJobRequest(job_id=job_id))
    text, found = await _explain(shell, job_id)
    assert "is cancelled: it waits for nothing" in text
    assert found["commands"] == [f"askback job retry {job_id}"]
    assert found["prompts"] == []
    held = await lite.lease_new_job("held")
    await lite.jobs.CancelJob(jobs.CancelJobRequest(job_id=held.job.job_id))
    text, _ = await _explain(shell, held.job.job_id)
    assert "it was asked to stop" in text


async def test_explain_reports_an_unknown_job(shell: Shell) -> None:
    done = await shell.run("explain", ABSENT_ID, "--json")
    assert done.code == 3
    assert json.loads(done.err)["error"]["reason"] == "ERROR_REASON_JOB_NOT_FOUND"
