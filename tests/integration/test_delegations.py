"""Delegation, rerouting and absence over gRPC: live views, streams, and what is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import policy_service_pb2 as policies
from askback.v1 import prompt_pb2 as prompts
from tests.support.refusals import SOON, expect_refusal
from tests.support.requests import answer, audience, confirm, seconds
from tests.support.service import Caller, ServiceWorld, serving
from tests.support.token_files import TokenFile

pytestmark = pytest.mark.asyncio(loop_scope="module")
TRANSFER, ADD, RETURN = pb.DELEGATION_MODE_TRANSFER, pb.DELEGATION_MODE_ADD, pb.DELEGATION_MODE_RETURN


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(
    shared_lite_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServiceWorld]:
    people: dict[str, Any] = {name: {} for name in ("amy", "ben", "cat", "dan")}
    people["cat"] = {"groups": ["ops"]}
    people["ada"] = {"roles": ["client", "worker", "admin"]}
    tokens = TokenFile(tmp_path_factory.mktemp("delegations") / "tokens.toml", **people)
    async with serving(shared_lite_url, auth=str(tokens.path)) as running:
        caller = running.with_token("ada-token")
        for name in ("jobs", "hitl", "workers", "policies"):
            setattr(running, name, getattr(caller, name))
        await running.service.replica.directory.write()  # the people of the token file
        yield running


def person(service: ServiceWorld, name: str) -> Caller:
    return service.with_token(f"{name}-token")


async def view(service: ServiceWorld, name: str, kind: str) -> Any:
    """A console of a person that sees prompts of this kind, after its empty snapshot."""
    console = service.console(person(service, name))
    await console.hello(filter=pb.PromptFilter(kinds=[kind]))
    await console.snapshot()
    return console


async def test_a_transferred_prompt_leaves_one_view_and_enters_another(service: ServiceWorld) -> None:
    amy, ben = await view(service, "amy", "give"), await view(service, "ben", "give")
    asked = await service.create_prompt(confirm(kind="give", audience=audience("amy")))
    assert (await amy.event("upserted")).prompt.prompt_id == asked.prompt_id
    give = pb.DelegatePromptRequest(
        prompt_id=asked.prompt_id, mode=TRANSFER, user="ben", comment="you know it"
    )
    reply = await amy.ask(delegate_prompt=give)
    [given] = reply.prompt.delegations
    assert (given.holder, given.giver, given.user, given.transferred) == ("amy", "amy", "ben", True)
    assert (given.cause, given.comment) == (prompts.DELEGATION_CAUSE_PERSON, "you know it")
    assert (await amy.event("removed")).prompt_id == asked.prompt_id
    shown = (await ben.event("upserted")).prompt
    assert shown.delegations == reply.prompt.delegations
    assert list(shown.content.audience.users) == ["amy"]
    get = pb.GetPromptRequest(prompt_id=asked.prompt_id)
    await expect_refusal(person(service, "amy").hitl.GetPrompt(get), "NOT_FOUND", "PROMPT_NOT_FOUND")
    again = (await person(service, "amy").hitl.DelegatePrompt(give)).prompt
    assert (again.version, again.delegations) == (reply.prompt.version, reply.prompt.delegations)
    assert not again.content.title
    back = pb.DelegatePromptRequest(prompt_id=asked.prompt_id, mode=RETURN, user="ben")
    assert not (await person(service, "amy").hitl.DelegatePrompt(back)).prompt.delegations
    assert (await amy.event("upserted")).prompt.prompt_id == asked.prompt_id
    assert (await ben.event("removed")).prompt_id == asked.prompt_id
    await amy.ask(delegate_prompt=give)
    await ben.event("upserted")
    result = (await ben.ask(answer_prompt=answer(asked))).result
    said = result.prompt.resolution.answer
    assert (said.user_id, said.on_behalf_of) == ("ben", "amy")
    [record] = (await service.hitl.ListAnswers(pb.ListAnswersRequest(prompt_id=asked.prompt_id))).answers
    assert record.answer.on_behalf_of == "amy"


async def test_a_delegate_sees_the_head_of_the_job_and_who_gave_it_away_does_not(
    service: ServiceWorld,
) -> None:
    asked = await service.create_prompt(confirm(kind="head", audience=audience("amy")))
    get = jobs.GetJobRequest(job_id=asked.job_id)
    await expect_refusal(person(service, "ben").jobs.GetJob(get), "NOT_FOUND", "JOB_NOT_FOUND")
    watch = person(service, "amy").jobs.WatchJob(jobs.WatchJobRequest(job_id=asked.job_id))
    async with asyncio.timeout(SOON):
        await watch.read()
    give = pb.DelegatePromptRequest(job_id=asked.job_id, key=asked.key, mode=TRANSFER, user="ben")
    await person(service, "amy").hitl.DelegatePrompt(give)
    assert (await person(service, "ben").jobs.GetJob(get)).open_prompts
    await expect_refusal(person(service, "amy").jobs.GetJob(get), "NOT_FOUND", "JOB_NOT_FOUND")
    await expect_refusal(_end(watch), "NOT_FOUND", "JOB_NOT_FOUND")


async def _end(watch: Any) -> None:
    async with asyncio.timeout(SOON):
        while await watch.read():
            pass


async def test_refusals_say_why_and_unknown_modes_are_refused(service: ServiceWorld) -> None:
    policy = prompts.DelegationPolicy(scope=prompts.DELEGATION_SCOPE_LISTED, groups=["ops"])
    asked = await service.create_prompt(confirm(kind="no", audience=audience("amy"), delegation=policy))
    assert asked.content.delegation == policy
    named: dict[str, Any] = {"prompt_id": asked.prompt_id}
    amy = person(service, "amy").hitl
    give = pb.DelegatePromptRequest(mode=ADD, user="ben", **named)
    found = await expect_refusal(
        amy.DelegatePrompt(give), "FAILED_PRECONDITION", "DELEGATION_REFUSED", because="POLICY", **named
    )
    assert "ops" in found.message
    for mode in (0, 9):
        wrong = pb.DelegatePromptRequest(mode=mode, group="ops", **named)  # type: ignore[arg-type]
        await expect_refusal(amy.DelegatePrompt(wrong), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert (await amy.DelegatePrompt(pb.DelegatePromptRequest(mode=ADD, group="ops", **named))).prompt
    bad = confirm(delegation=prompts.DelegationPolicy(scope=prompts.DELEGATION_SCOPE_LISTED))
    refused = await expect_refusal(
        service.jobs.CreateJob(jobs.CreateJobRequest(job_type="t", prompt=bad)),
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
    )
    assert "delegation.users" in refused.message


async def test_the_asker_reroutes_a_prompt(service: ServiceWorld) -> None:
    amy, ben = await view(service, "amy", "move"), await view(service, "ben", "move")
    asked = await service.create_prompt(confirm(kind="move", audience=audience("amy"), timeout=seconds(3600)))
    await amy.event("upserted")
    steps = [prompts.EscalationStep(after=seconds(60), to=audience(groups=["ops"]))]
    move = pb.ReroutePromptRequest(
        prompt_id=asked.prompt_id,
        audience=audience("ben"),
        priority=9,
        timeout=seconds(7200),
        escalation=prompts.Escalation(steps=steps),
        reason="amy has left",
    )
    moved = (await service.hitl.ReroutePrompt(move)).prompt
    assert (moved.content.priority, moved.revision, moved.shown_digest) == (9, 1, asked.shown_digest)
    assert moved.expire_time.ToDatetime() > asked.expire_time.ToDatetime()
    assert moved.HasField("next_escalation_time")
    assert (await amy.event("removed")).prompt_id == asked.prompt_id
    assert (await ben.event("upserted")).prompt == moved
    empty = pb.ReroutePromptRequest(prompt_id=asked.prompt_id)
    await expect_refusal(service.hitl.ReroutePrompt(empty), "INVALID_ARGUMENT", "INVALID_FIELD")


def at(hours: float) -> dict[str, Any]:
    time = datetime.now(UTC) + timedelta(hours=hours)
    return {"seconds": int(time.timestamp())}


async def test_a_substitute_gets_the_prompts_of_an_absent_person_and_loses_them(
    service: ServiceWorld,
) -> None:
    dan = await view(service, "dan", "away")
    asked = await service.create_prompt(confirm(kind="away", audience=audience("amy")))
    amy = person(service, "amy").policies
    request = policies.SetAbsenceRequest(until_time=at(5), substitute="dan", comment="hols")
    absence = (await amy.SetAbsence(request)).absence
    assert (absence.subject, absence.substitute, absence.set_by) == ("amy", "dan", "amy")
    assert (await amy.SetAbsence(request)).absence == absence
    shown = (await dan.event("upserted")).prompt
    [given] = shown.delegations
    assert (given.holder, given.user, given.cause) == ("amy", "dan", prompts.DELEGATION_CAUSE_ABSENCE)
    assert given.end_time == absence.until_time
    listed = (await service.policies.ListAbsences(policies.ListAbsencesRequest(subject="amy"))).absences
    assert list(listed) == [absence]
    circle = policies.SetAbsenceRequest(until_time=at(3), substitute="amy")
    refused = await expect_refusal(
        person(service, "dan").policies.SetAbsence(circle), "INVALID_ARGUMENT", "INVALID_FIELD"
    )
    assert "circle" in refused.message
    named = {"absence_id": absence.absence_id}
    await expect_refusal(
        person(service, "ben").policies.DeleteAbsence(policies.DeleteAbsenceRequest(**named)),
        "NOT_FOUND",
        "ABSENCE_NOT_FOUND",
        **named,
    )
    await amy.DeleteAbsence(policies.DeleteAbsenceRequest(**named))
    assert (await dan.event("removed")).prompt_id == asked.prompt_id
    every = policies.ListAbsencesRequest(subject="amy", include_past=True, page_size=1)
    page = await amy.ListAbsences(every)
    assert [each.absence_id for each in page.absences] == [absence.absence_id]
    assert not page.next_page_token
