"""Requests become commands that keep every field. Missing and impossible values are refused."""

from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2, prompt_pb2
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from askback_server.domain import commands as c
from askback_server.domain import vote_commands as v
from askback_server.domain.answers import AnswerSource
from askback_server.domain.decisions import Decision, Edit
from askback_server.domain.errors import InvalidField, JobNotFound, PermissionDenied, PromptNotFound
from askback_server.domain.jobs import Failure, Progress
from askback_server.domain.principals import Principal, Role
from askback_server.ports.clock import uuid7
from askback_server.transport.convert import commands as convert
from askback_server.transport.convert import prompt_commands as of_prompts
from askback_server.transport.convert.contents import content
from tests.support.wire_samples import full_content

ME = Principal("me", frozenset(Role), ("default", "eu"))
JOB, PROMPT = uuid7(), uuid7()
SESSION = c.SessionRef("s", 4)


def faults(call: Any, request: Any) -> list[str]:
    with pytest.raises(InvalidField) as refused:
        call(request, ME)
    return [v.field for v in refused.value.violations]


def test_create_job_keeps_every_field() -> None:
    request = jobs.CreateJobRequest(
        namespace="eu",
        request_id="r",
        job_type="refund",
        user_id="u",
        input_json=' {"a": 1} ',
        priority=-4,
        labels={"a": "b"},
        max_attempts=5,
        retention=Duration(seconds=7),
        start_delay=Duration(seconds=8),
        timeout=Duration(seconds=9),
        run_timeout=Duration(seconds=10),
        prompt=full_content(),
    )
    assert convert.create_job(request, ME) == c.CreateJob(
        principal=ME,
        namespace="eu",
        request_id="r",
        job_type="refund",
        user_id="u",
        input_json=' {"a": 1} ',
        priority=-4,
        labels={"a": "b"},
        max_attempts=5,
        retention=timedelta(seconds=7),
        start_delay=timedelta(seconds=8),
        timeout=timedelta(seconds=9),
        run_timeout=timedelta(seconds=10),
        prompt=content(full_content(), "prompt"),
    )
    minimum = convert.create_job(jobs.CreateJobRequest(job_type="x"), ME)
    assert minimum == c.CreateJob(principal=ME, namespace="default", job_type="x")
    with pytest.raises(PermissionDenied):
        convert.create_job(jobs.CreateJobRequest(namespace="us"), ME)
    request.retention.seconds = -1
    request.start_time.seconds = 1 << 40
    request.timeout.seconds = -1
    request.prompt.final_action = 77  # type: ignore[assignment]
    assert faults(convert.create_job, request) == [
        "retention",
        "timeout",
        "start_time",
        "prompt.final_action",
    ]


def test_update_job_takes_the_fields_of_the_mask() -> None:
    request = jobs.UpdateJobRequest(
        job=job_pb2.Job(
            job_id=JOB, labels={"a": "b"}, priority=3, promoted=True, retention=Duration(seconds=9)
        ),
        update_mask=FieldMask(paths=["labels", "priority", "promoted", "retention"]),
        expected_version=8,
    )
    assert convert.update_job(request, ME) == c.UpdateJob(
        principal=ME,
        job_id=JOB,
        values={
            "labels": {"a": "b"},
            "priority": 3,
            "promoted": True,
            "retention": timedelta(seconds=9),
        },
        expected_version=8,
    )
    request.update_mask.paths[:] = ["retention"]
    request.job.ClearField("retention")
    assert convert.update_job(request, ME).values == {"retention": None}
    request.job.retention.seconds = -1
    assert faults(convert.update_job, request) == ["job.retention"]
    for paths in ([], ["state"], ["labels", "job_id"], ["*"], ["labels.a"]):
        request.update_mask.paths[:] = paths
        assert faults(convert.update_job, request) == ["update_mask"]


def test_update_deep_understanding_takes_the_fields_of_the_mask() -> None:
    names = [
        "questions_asked_json",
        "answers_json",
        "research_performed_json",
        "understanding_summary",
        "user_problem",
        "readiness_score",
        "complete",
    ]
    state = job_pb2.DeepUnderstanding(
        job_id=JOB,
        questions_asked_json="[1]",
        answers_json="[2]",
        research_performed_json="[3]",
        understanding_summary="s",
        user_problem="p",
        readiness_score=0.5,
        complete=True,
    )
    request = jobs.UpdateDeepUnderstandingRequest(
        deep_understanding=state, update_mask=FieldMask(paths=names), expected_version=2, token=3
    )
    command = convert.update_deep_understanding(request, ME)
    assert (command.job_id, command.expected_version, command.token) == (JOB, 2, 3)
    assert command.values == {name: getattr(state, name) for name in names}
    for wrong in ("job_id", "version", "update_time"):
        request.update_mask.paths[:] = [wrong]
        assert faults(convert.update_deep_understanding, request) == ["update_mask"]


def test_cancel_and_delete_keep_their_fields() -> None:
    cancel = jobs.CancelJobRequest(job_id=JOB, reason="why")
    assert convert.cancel_job(cancel, ME) == c.CancelJob(principal=ME, job_id=JOB, reason="why")
    delete = jobs.DeleteJobRequest(job_id=JOB)
    assert convert.delete_job(delete, ME) == c.DeleteJob(principal=ME, job_id=JOB)


def test_commands_of_the_holder_keep_their_fields() -> None:
    held: dict[str, Any] = {"principal": ME, "job_id": JOB, "token": 7, "session": SESSION}
    sent: dict[str, Any] = {"job_id": JOB, "token": 7}
    progress = job_pb2.Progress(done=1, total=2, percent=50, message="m")
    cases: list[tuple[Any, Any, c.Command]] = [
        (
            convert.report_progress,
            workers.ReportProgressRequest(**sent, progress=progress, milestone=True),
            c.ReportProgress(**held, progress=Progress(1, 2, 50.0, "m"), milestone=True),
        ),
        (
            convert.ask_prompt,
            workers.AskPromptRequest(**sent, key="k", content=full_content(), supersedes_keys=["a", "b"]),
            c.AskPrompt(**held, key="k", content=content(full_content(), "content"), supersedes=("a", "b")),
        ),
        (
            convert.acknowledge_prompts,
            workers.AcknowledgePromptsRequest(**sent, prompt_ids=[PROMPT]),
            c.AcknowledgePrompts(**held, prompt_ids=(PROMPT,)),
        ),
        (
            convert.save_checkpoint,
            workers.SaveCheckpointRequest(**sent, key="k", value_json=" [1]"),
            c.SaveCheckpoint(**held, key="k", value_json=" [1]"),
        ),
        (
            convert.complete_job,
            workers.CompleteJobRequest(**sent, result_json=" {}"),
            c.CompleteJob(**held, result_json=" {}"),
        ),
        (
            convert.fail_job,
            workers.FailJobRequest(
                **sent,
                failure=job_pb2.Failure(code="c", message="m", details_json="{}"),
                retryable=True,
                retry_delay=Duration(seconds=3),
            ),
            c.FailJob(
                **held, failure=Failure("c", "m", "{}"), retryable=True, retry_delay=timedelta(seconds=3)
            ),
        ),
        (convert.release_job, workers.ReleaseJobRequest(**sent), c.ReleaseJob(**held)),
    ]
    for call, request, command in cases:
        assert call(request, ME, SESSION) == command
        assert call(request, ME).session is None
        request.job_id = "1881"
        with pytest.raises(JobNotFound):
            call(request, ME)
        request.job_id = ""
        assert faults(call, request) == ["job_id"]


def test_commands_of_the_holder_are_refused_without_required_fields() -> None:
    assert faults(convert.ask_prompt, workers.AskPromptRequest(job_id=JOB, key="k")) == ["content"]
    with pytest.raises(PromptNotFound):
        convert.acknowledge_prompts(
            workers.AcknowledgePromptsRequest(job_id=JOB, prompt_ids=[PROMPT, "x"]), ME
        )
    fail = workers.FailJobRequest(job_id=JOB, retry_delay=Duration(nanos=-1))
    assert faults(convert.fail_job, fail) == ["retry_delay"]


def test_answer_prompt_keeps_every_field() -> None:
    request = hitl.AnswerPromptRequest(
        prompt_id=PROMPT,
        answer_id="a",
        revision=3,
        decision=prompt_pb2.DECISION_EDIT,
        values_json='\n {"b": 1}\t',
        edits=[prompt_pb2.Edit(content_id="x", text=" y ")],
        comment=" as is ",
    )
    assert of_prompts.answer_prompt(request, ME) == c.AnswerPrompt(
        principal=ME,
        ref=c.PromptRef(PROMPT),
        answer_id="a",
        revision=3,
        decision=Decision.EDIT,
        values_json='{"b": 1}',
        edits=(Edit("x", " y "),),
        comment=" as is ",
    )
    assert of_prompts.answer_prompt(request, ME).source is AnswerSource.HUMAN
    same = {field.name: value for field, value in request.ListFields()}
    assert of_prompts.override_prompt(hitl.OverridePromptRequest(**same), ME) == v.OverridePrompt(
        principal=ME,
        ref=c.PromptRef(PROMPT),
        answer_id="a",
        revision=3,
        decision=Decision.EDIT,
        values_json='{"b": 1}',
        edits=(Edit("x", " y "),),
        comment=" as is ",
        source=AnswerSource.OVERRIDE,
    )
    request.test = True
    assert of_prompts.answer_prompt(request, ME).source is AnswerSource.TEST
    for wrong in (0, 99, -1):
        request.decision = wrong  # type: ignore[assignment]
        assert faults(of_prompts.answer_prompt, request) == ["decision"]


def test_commands_on_prompts_keep_their_fields() -> None:
    claim = hitl.ClaimPromptRequest(prompt_id=PROMPT, duration=Duration(seconds=5))
    ref = c.PromptRef(PROMPT)
    expected = c.ClaimPrompt(principal=ME, ref=ref, duration=timedelta(seconds=5))
    assert of_prompts.claim_prompt(claim, ME) == expected
    assert of_prompts.claim_prompt(hitl.ClaimPromptRequest(prompt_id=PROMPT), ME).duration is None
    release = hitl.ReleasePromptRequest(prompt_id=PROMPT)
    assert of_prompts.release_prompt(release, ME) == c.ReleasePrompt(principal=ME, ref=ref)
    cancel = hitl.CancelPromptRequest(job_id=JOB, key="k", reason="r")
    by_key = c.PromptRef("", JOB, "k")
    assert of_prompts.cancel_prompt(cancel, ME) == c.CancelPrompt(principal=ME, ref=by_key, reason="r")
    withdraw = hitl.WithdrawAnswerRequest(job_id=JOB, key="k", answer_id="a")
    assert of_prompts.withdraw_answer(withdraw, ME) == v.WithdrawAnswer(
        principal=ME, ref=by_key, answer_id="a"
    )
    for call, request in (
        (of_prompts.withdraw_answer, hitl.WithdrawAnswerRequest(answer_id="a")),
        (of_prompts.claim_prompt, hitl.ClaimPromptRequest()),
        (of_prompts.release_prompt, hitl.ReleasePromptRequest()),
        (of_prompts.cancel_prompt, hitl.CancelPromptRequest(prompt_id=PROMPT, job_id=JOB)),
    ):
        assert faults(call, request) == ["prompt_id"]
    with pytest.raises(PromptNotFound):
        of_prompts.claim_prompt(hitl.ClaimPromptRequest(prompt_id="1881"), ME)
    claim.duration.seconds = -5
    assert faults(of_prompts.claim_prompt, claim) == ["duration"]
