"""Tokens, roles, namespaces and audiences, for each call as documented in the protos."""

import time
from typing import Any

import pytest

from askback.v1 import access_service_pb2 as apb
from askback.v1 import hitl_service_pb2 as hpb
from askback.v1 import job_pb2, rule_pb2
from askback.v1 import job_service_pb2 as jpb
from askback.v1 import policy_service_pb2 as ppb
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as wpb
from tests.support import rule_requests
from tests.support.refusals import expect_refusal, outcome
from tests.support.requests import answer, audience, confirm, seconds
from tests.support.service import Caller, ServiceWorld
from tests.support.streams import ABSENT_ID

ROLES = ("client", "worker", "console", "policy", "admin")


def person(world: ServiceWorld, name: str) -> Caller:
    return world.with_token(f"{name}-token")


NAMED = {"job_id": ABSENT_ID}
P = {"prompt_id": ABSENT_ID}
MASK = {"paths": ["priority"]}
DEEP = {
    "deep_understanding": job_pb2.DeepUnderstanding(job_id=ABSENT_ID),
    "update_mask": {"paths": ["complete"]},
}
BY_JOB = hpb.PromptFilter(job_id=ABSENT_ID)

CL, WO, CO, PO = "client", "worker", "console", "policy"
ASKS = rule_requests.spec(ask=rule_pb2.RuleAsk())

# Every RPC with a valid request. A caller with the role gets NOT_FOUND or a reply.
CALLS: dict[str, tuple[tuple[str, ...], str, Any]] = {
    "CreateJob": ((CL,), "jobs", jpb.CreateJobRequest(job_type="t")),
    "UpdateJob": ((CL,), "jobs", jpb.UpdateJobRequest(job=job_pb2.Job(**NAMED), update_mask=MASK)),
    "CancelJob": ((CL,), "jobs", jpb.CancelJobRequest(**NAMED)),
    "RetryJob": ((CL,), "jobs", jpb.RetryJobRequest(**NAMED)),
    "DeleteJob": ((CL,), "jobs", jpb.DeleteJobRequest(**NAMED)),
    "GetJob": ((CL, WO, CO), "jobs", jpb.GetJobRequest(**NAMED)),
    "ListJobs": ((CL, WO), "jobs", jpb.ListJobsRequest()),
    "WatchJob": ((CL, WO, CO), "jobs", jpb.WatchJobRequest(**NAMED)),
    "WatchJobs": ((CL, WO), "jobs", jpb.WatchJobsRequest()),
    "GetOverview": ((CL, CO), "jobs", jpb.GetOverviewRequest()),
    "GetDeepUnderstanding": ((CL, WO, CO), "jobs", jpb.GetDeepUnderstandingRequest(**NAMED)),
    "UpdateDeepUnderstanding": ((CL, WO), "jobs", jpb.UpdateDeepUnderstandingRequest(**DEEP)),
    "WatchPrompts": ((CO,), "hitl", hpb.WatchPromptsRequest()),
    "AnswerPrompt": ((CO,), "hitl", hpb.AnswerPromptRequest(answer_id="a", revision=1, decision=1, **P)),
    "AnswerPrompts": (
        (CO,),
        "hitl",
        hpb.AnswerPromptsRequest(items=[{"answer_id": "a", "revision": 1, **P}], decision=1),
    ),
    "OverridePrompt": (
        (),
        "hitl",
        hpb.OverridePromptRequest(answer_id="a", revision=1, decision=1, comment="c", **P),
    ),
    "WithdrawAnswer": ((CO,), "hitl", hpb.WithdrawAnswerRequest(answer_id="a", **P)),
    "ClaimPrompt": ((CO,), "hitl", hpb.ClaimPromptRequest(**P)),
    "ReleasePrompt": ((CO,), "hitl", hpb.ReleasePromptRequest(**P)),
    "ListPrompts": ((CO,), "hitl", hpb.ListPromptsRequest()),
    "ListPrompts of a job": ((CL, WO, CO), "hitl", hpb.ListPromptsRequest(filter=BY_JOB)),
    "GetReceipt": ((CL, WO, CO), "hitl", hpb.GetReceiptRequest(**P)),
    "GetPrompt": ((CL, WO, CO), "hitl", hpb.GetPromptRequest(**P)),
    "ListAnswers": ((CL, WO, CO), "hitl", hpb.ListAnswersRequest(**P)),
    "CancelPrompt": ((CL, WO), "hitl", hpb.CancelPromptRequest(**P)),
    "DelegatePrompt": ((CO,), "hitl", hpb.DelegatePromptRequest(mode=1, user="u", **P)),
    "ReroutePrompt": ((CL, WO), "hitl", hpb.ReroutePromptRequest(priority=1, **P)),
    "LeaseJobs": ((WO,), "workers", wpb.LeaseJobsRequest(worker_id="w", job_types=["none"])),
    "ExtendLease": ((WO,), "workers", wpb.ExtendLeaseRequest(session_id=ABSENT_ID)),
    "ReportProgress": ((WO,), "workers", wpb.ReportProgressRequest(**NAMED)),
    "AskPrompt": ((WO,), "workers", wpb.AskPromptRequest(key="k", content=confirm(), **NAMED)),
    "AwaitPrompt": ((WO,), "workers", wpb.AwaitPromptRequest(**P)),
    "AcknowledgePrompts": ((WO,), "workers", wpb.AcknowledgePromptsRequest(**NAMED)),
    "SaveCheckpoint": ((WO,), "workers", wpb.SaveCheckpointRequest(key="k", value_json="1", **NAMED)),
    "ListCheckpoints": ((CL, WO), "workers", wpb.ListCheckpointsRequest(**NAMED)),
    "CompleteJob": ((WO,), "workers", wpb.CompleteJobRequest(**NAMED)),
    "FailJob": ((WO,), "workers", wpb.FailJobRequest(**NAMED)),
    "ReleaseJob": ((WO,), "workers", wpb.ReleaseJobRequest(**NAMED)),
    "WhoAmI": ((CL, WO, CO, PO), "access", apb.WhoAmIRequest()),
    "EndSession": ((CL, WO, CO, PO), "access", apb.EndSessionRequest(session_id="s")),
    "SetPerson": ((), "access", apb.SetPersonRequest(subject="ana")),
    "ListPeople": ((), "access", apb.ListPeopleRequest()),
    "DeletePerson": ((), "access", apb.DeletePersonRequest(subject="nn")),
    "SetGroup": ((), "access", apb.SetGroupRequest(name="ops")),
    "ListGroups": ((), "access", apb.ListGroupsRequest()),
    "CreateRule": ((PO,), "policies", ppb.CreateRuleRequest(spec=ASKS, validate_only=True)),
    "UpdateRule": ((PO,), "policies", ppb.UpdateRuleRequest(rule_id=ABSENT_ID)),
    "DeleteRule": ((PO,), "policies", ppb.DeleteRuleRequest(rule_id=ABSENT_ID)),
    "ListRules": ((PO,), "policies", ppb.ListRulesRequest()),
    "PreviewRule": ((PO,), "policies", ppb.PreviewRuleRequest(spec=ASKS)),
    "SuggestRules": ((PO,), "policies", ppb.SuggestRulesRequest()),
    "SetAbsence": ((CO,), "policies", ppb.SetAbsenceRequest(until_time={"seconds": int(time.time()) + 3600})),
    "DeleteAbsence": ((CO,), "policies", ppb.DeleteAbsenceRequest(absence_id=ABSENT_ID)),
    "ListReceiptKeys": ((CL, WO, CO, PO), "policies", ppb.ListReceiptKeysRequest()),
    "ListAbsences": ((CL, WO, CO), "policies", ppb.ListAbsencesRequest()),
}


def call_by_name(caller: Caller, name: str) -> Any:
    """The reply of a call, or the first message of a stream."""
    _, service, request = CALLS[name]
    call = getattr(getattr(caller, service), name.split()[0])(request)
    return call.read() if name.startswith("Watch") else call


def test_the_table_has_every_rpc() -> None:
    names = {
        method.name
        for module in (jpb, wpb, hpb, apb, ppb)
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert names == {name.split()[0] for name in CALLS} | {"Converse", "Work"}


async def test_each_role_may_call_its_methods_only(world_with_tokens: ServiceWorld) -> None:
    for name, (roles, _, _) in CALLS.items():
        for role in ROLES:
            caller = person(world_with_tokens, role)
            if role == "admin" or role in roles:
                found = await outcome(call_by_name(caller, name))
                assert found in ("OK", "NOT_FOUND"), (name, role)
            else:
                refusal = await expect_refusal(
                    call_by_name(caller, name), "PERMISSION_DENIED", "PERMISSION_DENIED"
                )
                assert refusal.metadata["needs"], name


async def test_each_role_may_open_its_streams_only(world_with_tokens: ServiceWorld) -> None:
    for role in ROLES:
        for allowed, opened in (
            ("console", world_with_tokens.console(person(world_with_tokens, role))),
            ("worker", world_with_tokens.worker(person(world_with_tokens, role))),
        ):
            if role in (allowed, "admin"):
                await opened.hello()
                continue
            found = await opened.wait_for_end()
            assert found is not None
            assert (found.code.name, found.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")
            assert found.metadata["needs"] == allowed


@pytest.mark.parametrize("token", ["", "wrong", "old-token"])
async def test_every_method_requires_a_valid_token(world_with_tokens: ServiceWorld, token: str) -> None:
    stranger = world_with_tokens.with_token(token)
    for name in CALLS:
        found = await expect_refusal(call_by_name(stranger, name), "UNAUTHENTICATED", "UNAUTHENTICATED")
        assert "token" in found.message, name
    for opened in (world_with_tokens.console(stranger), world_with_tokens.worker(stranger)):
        found_ = await opened.wait_for_end()
        assert found_ is not None
        assert found_.reason == "UNAUTHENTICATED"
    trusted = Caller(world_with_tokens.channel, (("askback-user", "client"),))
    await expect_refusal(trusted.jobs.ListJobs(jpb.ListJobsRequest()), "UNAUTHENTICATED", "UNAUTHENTICATED")


async def test_calls_cannot_reach_another_namespace(world_with_tokens: ServiceWorld) -> None:
    client, other, roving = (
        person(world_with_tokens, "client"),
        person(world_with_tokens, "other"),
        person(world_with_tokens, "roving"),
    )
    made = await client.jobs.CreateJob(jpb.CreateJobRequest(job_type="t", prompt=confirm()))
    job_id, prompt_id = made.job.job_id, made.prompt.prompt_id
    for call, reason in (
        (other.jobs.GetJob(jpb.GetJobRequest(job_id=job_id)), "JOB_NOT_FOUND"),
        (other.jobs.CancelJob(jpb.CancelJobRequest(job_id=job_id)), "JOB_NOT_FOUND"),
        (other.jobs.DeleteJob(jpb.DeleteJobRequest(job_id=job_id)), "JOB_NOT_FOUND"),
        (other.jobs.RetryJob(jpb.RetryJobRequest(job_id=job_id)), "JOB_NOT_FOUND"),
        (other.jobs.WatchJob(jpb.WatchJobRequest(job_id=job_id)).read(), "JOB_NOT_FOUND"),
        (other.jobs.GetDeepUnderstanding(jpb.GetDeepUnderstandingRequest(job_id=job_id)), "JOB_NOT_FOUND"),
        (other.workers.ListCheckpoints(wpb.ListCheckpointsRequest(job_id=job_id)), "JOB_NOT_FOUND"),
        (other.workers.CompleteJob(wpb.CompleteJobRequest(job_id=job_id, token=1)), "JOB_NOT_FOUND"),
        (other.hitl.GetPrompt(hpb.GetPromptRequest(prompt_id=prompt_id)), "PROMPT_NOT_FOUND"),
        (other.hitl.GetPrompt(hpb.GetPromptRequest(job_id=job_id, key="prompt")), "PROMPT_NOT_FOUND"),
        (other.hitl.ListAnswers(hpb.ListAnswersRequest(prompt_id=prompt_id)), "PROMPT_NOT_FOUND"),
        (other.hitl.AnswerPrompt(answer(made.prompt)), "PROMPT_NOT_FOUND"),
        (other.hitl.ClaimPrompt(hpb.ClaimPromptRequest(prompt_id=prompt_id)), "PROMPT_NOT_FOUND"),
        (other.hitl.CancelPrompt(hpb.CancelPromptRequest(prompt_id=prompt_id)), "PROMPT_NOT_FOUND"),
        (other.workers.AwaitPrompt(wpb.AwaitPromptRequest(prompt_id=prompt_id)), "PROMPT_NOT_FOUND"),
    ):
        await expect_refusal(call, "NOT_FOUND", reason)
    foreign = {"namespace": "default"}
    for call in (
        other.jobs.CreateJob(jpb.CreateJobRequest(job_type="t", **foreign)),
        other.jobs.ListJobs(jpb.ListJobsRequest(**foreign)),
        other.jobs.WatchJobs(jpb.WatchJobsRequest(**foreign)).read(),
        other.hitl.ListPrompts(hpb.ListPromptsRequest(**foreign)),
        other.hitl.WatchPrompts(hpb.WatchPromptsRequest(**foreign)).read(),
        other.workers.LeaseJobs(wpb.LeaseJobsRequest(worker_id="w", job_types=["t"], **foreign)),
    ):
        await expect_refusal(call, "PERMISSION_DENIED", "PERMISSION_DENIED", needs="namespace default")
    assert not (await other.jobs.ListJobs(jpb.ListJobsRequest())).jobs
    assert not (await other.hitl.ListPrompts(hpb.ListPromptsRequest())).prompts
    # A caller with two namespaces uses the first by default.
    mine = await roving.jobs.CreateJob(jpb.CreateJobRequest(job_type="t"))
    assert mine.job.namespace == "default"
    theirs = await roving.jobs.CreateJob(jpb.CreateJobRequest(job_type="t", namespace="elsewhere"))
    assert (await other.jobs.GetJob(jpb.GetJobRequest(job_id=theirs.job.job_id))).job == theirs.job
    await expect_refusal(
        roving.jobs.CreateJob(jpb.CreateJobRequest(job_type="t", namespace="third")),
        "PERMISSION_DENIED",
        "PERMISSION_DENIED",
    )
    leased = await other.workers.LeaseJobs(
        wpb.LeaseJobsRequest(worker_id="w", job_types=["t"], max_jobs=9, wait=seconds(5))
    )
    assert [j.job.job_id for j in leased.jobs] == [theirs.job.job_id]


async def test_streams_show_only_their_namespace(world_with_tokens: ServiceWorld) -> None:
    console = world_with_tokens.console(person(world_with_tokens, "other"))
    await console.hello()
    await console.snapshot()
    await person(world_with_tokens, "client").jobs.CreateJob(
        jpb.CreateJobRequest(job_type="t", prompt=confirm())
    )
    await console.nothing_more()
    mine = jpb.CreateJobRequest(job_type="t", namespace="elsewhere", prompt=confirm("mine"))
    made = (await person(world_with_tokens, "roving").jobs.CreateJob(mine)).prompt
    assert (await console.event("upserted")).prompt == made
    for opened in (
        world_with_tokens.console(person(world_with_tokens, "other")),
        world_with_tokens.worker(person(world_with_tokens, "other")),
    ):
        hello: Any = {"namespace": "default"}
        if opened.__class__.__name__ == "Worker":
            body = wpb.WorkHello(worker_id="w", job_types=["t"], **hello)
            await opened.send(wpb.WorkClientFrame(hello=body))
        else:
            await opened.send(hpb.ConverseClientFrame(hello=hpb.ConverseHello(**hello)))
        found = await opened.wait_for_end()
        assert found is not None
        assert (found.code.name, found.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")


async def test_prompts_outside_its_audience_are_not_found_for_a_console(
    world_with_tokens: ServiceWorld,
) -> None:
    client, eve = person(world_with_tokens, "client"), person(world_with_tokens, "eve")
    content = confirm(audience=audience(groups=["law"]))
    prompt = (await client.jobs.CreateJob(jpb.CreateJobRequest(job_type="t", prompt=content))).prompt
    named = {"prompt_id": prompt.prompt_id}
    stream = world_with_tokens.console(eve)
    await stream.hello()
    assert (await stream.snapshot())[0] == []
    for call in (
        eve.hitl.GetPrompt(hpb.GetPromptRequest(**named)),
        eve.hitl.ListAnswers(hpb.ListAnswersRequest(**named)),
        eve.hitl.AnswerPrompt(answer(prompt)),
        eve.hitl.ClaimPrompt(hpb.ClaimPromptRequest(**named)),
        eve.hitl.ReleasePrompt(hpb.ReleasePromptRequest(**named)),
    ):
        await expect_refusal(call, "NOT_FOUND", "PROMPT_NOT_FOUND", **named)
    by_key = hpb.GetPromptRequest(job_id=prompt.job_id, key=prompt.key)
    await expect_refusal(eve.hitl.GetPrompt(by_key), "NOT_FOUND", "PROMPT_NOT_FOUND")
    for filter in (
        hpb.PromptFilter(),
        hpb.PromptFilter(job_id=prompt.job_id),
        hpb.PromptFilter(groups=["law"]),
    ):
        page = await eve.hitl.ListPrompts(hpb.ListPromptsRequest(filter=filter))
        assert (list(page.prompts), page.total_size) == ([], 0)
    # The audience and the asker see it. An admin sees everything.
    for name in ("console", "client", "worker", "admin"):
        assert (
            await person(world_with_tokens, name).hitl.GetPrompt(hpb.GetPromptRequest(**named))
        ).prompt == prompt
    for name in ("console", "admin"):
        page = await person(world_with_tokens, name).hitl.ListPrompts(hpb.ListPromptsRequest())
        assert page.total_size == 1
    admin_view = world_with_tokens.console(person(world_with_tokens, "admin"))
    await admin_view.hello()
    assert (await admin_view.snapshot())[0] == [prompt]
    result = (await person(world_with_tokens, "admin").hitl.AnswerPrompt(answer(prompt))).result
    assert result.status == prompts.ANSWER_STATUS_ACCEPTED
    await stream.nothing_more()


async def test_only_an_admin_acts_for_another_user_and_releases_anothers_claim(
    world_with_tokens: ServiceWorld,
) -> None:
    admin = person(world_with_tokens, "admin")
    request = jpb.CreateJobRequest(job_type="t", user_id="someone", prompt=confirm())
    made = await admin.jobs.CreateJob(request)
    assert made.job.user_id == "someone"
    found = await expect_refusal(
        person(world_with_tokens, "client").jobs.CreateJob(request), "INVALID_ARGUMENT", "INVALID_FIELD"
    )
    assert set(found.violations) == {"user_id"}
    named = {"prompt_id": made.prompt.prompt_id}
    await person(world_with_tokens, "console").hitl.ClaimPrompt(hpb.ClaimPromptRequest(**named))
    release = hpb.ReleasePromptRequest(**named)
    await expect_refusal(
        person(world_with_tokens, "eve").hitl.ReleasePrompt(release), "FAILED_PRECONDITION", "PROMPT_CLAIMED"
    )
    assert not (await admin.hitl.ReleasePrompt(release)).prompt.claimed_by


async def test_a_pure_worker_writes_the_understanding_only_under_its_token(
    world_with_tokens: ServiceWorld,
) -> None:
    job = (await person(world_with_tokens, "client").jobs.CreateJob(jpb.CreateJobRequest(job_type="t"))).job
    worker = person(world_with_tokens, "worker")
    request = jpb.UpdateDeepUnderstandingRequest(
        deep_understanding=job_pb2.DeepUnderstanding(job_id=job.job_id, complete=True),
        update_mask={"paths": ["complete"]},
    )
    await expect_refusal(worker.jobs.UpdateDeepUnderstanding(request), "FAILED_PRECONDITION", "LEASE_LOST")
    [lease] = (
        await worker.workers.LeaseJobs(wpb.LeaseJobsRequest(worker_id="w", job_types=["t"], wait=seconds(5)))
    ).jobs
    request.token = lease.token
    assert (await worker.jobs.UpdateDeepUnderstanding(request)).deep_understanding.complete


async def test_health_and_reflection_need_no_token(world_with_tokens: ServiceWorld) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    stub = health_pb2_grpc.HealthStub(world_with_tokens.channel)
    assert (await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)).status == 1
