"""The exit codes of errors, jobs and answers."""

import pytest

from askback import errors
from askback._model.jobs import JobInfo
from askback._model.prompts import PromptInfo
from askback.cli.exits import Exit, exit_of
from askback.cli.outcome_exits import answer_exit, job_exit
from askback.v1 import job_pb2, prompt_pb2

WORTH = {
    errors.InvalidArgument("x"): Exit.USAGE,
    errors.AnswerInvalid("x"): Exit.USAGE,
    errors.NotFound("x"): Exit.NOT_FOUND,
    errors.SessionNotFound("x"): Exit.NOT_FOUND,
    errors.AlreadyExists("x"): Exit.CONFLICT,
    errors.FailedPrecondition("x"): Exit.CONFLICT,
    errors.PromptClosed("x", metadata={"state": "ANSWERED"}): Exit.CONFLICT,
    errors.PromptClosed("x", metadata={"state": "EXPIRED"}): Exit.NO_ANSWER,
    errors.PromptClaimed("x"): Exit.CONFLICT,
    errors.PromptStale("x"): Exit.CONFLICT,
    errors.Aborted("x"): Exit.CONFLICT,
    errors.Unauthenticated("x"): Exit.DENIED,
    errors.PermissionDenied("x"): Exit.DENIED,
    errors.ResourceExhausted("x"): Exit.USAGE,
    errors.ResourceExhausted("x", retry_after=1.0): Exit.UNAVAILABLE,
    errors.Unavailable("x"): Exit.UNAVAILABLE,
    errors.DeadlineExceeded("x"): Exit.UNAVAILABLE,
    errors.Internal("x"): Exit.ERROR,
    errors.AskbackError("x"): Exit.ERROR,
    errors.JobFailed("x", job_id="j"): Exit.NO,
    errors.JobCancelled("x", job_id="j"): Exit.NO,
    errors.PromptExpired("x", PromptInfo(prompt_pb2.Prompt())): Exit.NO_ANSWER,
    errors.PromptDeclined("x", PromptInfo(prompt_pb2.Prompt())): Exit.NO,
    errors.PromptCancelled("x", PromptInfo(prompt_pb2.Prompt())): Exit.NO,
}


@pytest.mark.parametrize("error", WORTH, ids=lambda e: f"{type(e).__name__}{e.metadata.get('state', '')}")
def test_each_error_has_its_exit_code(error: errors.AskbackError) -> None:
    assert exit_of(error) is WORTH[error]


def test_exit_codes_have_fixed_numbers() -> None:
    assert [int(code) for code in Exit] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]


@pytest.mark.parametrize(
    ("state", "result", "workerless", "code"),
    [
        ("COMPLETED", "", False, 0),
        ("COMPLETED", '{"decision": "REJECT"}', False, 0),
        ("FAILED", "", False, 5),
        ("CANCELLED", "", True, 5),
        ("COMPLETED", '{"state": "ANSWERED", "decision": "ACCEPT"}', True, 0),
        ("COMPLETED", '{"state": "ANSWERED", "decision": "EDIT"}', True, 0),
        ("COMPLETED", '{"state": "ANSWERED", "decision": "RESPOND"}', True, 0),
        ("COMPLETED", '{"state": "ANSWERED", "decision": "REJECT"}', True, 5),
        ("COMPLETED", '{"state": "ANSWERED", "decision": "REVISE"}', True, 5),
        ("COMPLETED", '{"state": "ANSWERED", "decision": "DISMISS"}', True, 5),
        ("COMPLETED", '{"state": "ANSWERED", "decision": "SOMETHING_NEW"}', True, 5),
        ("COMPLETED", '{"state": "EXPIRED"}', True, 6),
        ("COMPLETED", '{"state": "CANCELLED"}', True, 5),
        ("COMPLETED", '{"state": "SUPERSEDED", "decision": "ACCEPT"}', True, 5),
        ("COMPLETED", '{"decision": "ACCEPT"}', True, 5),
        *(
            ("COMPLETED", f'{{"state":"ANSWERED","decision":"{d}","source":"TIMEOUT_DEFAULT"}}', True, code)
            for d, code in [("ACCEPT", 0), ("RESPOND", 0), ("REJECT", 6), ("REVISE", 6), ("DISMISS", 6)]
        ),
    ],
)
def test_each_end_of_a_job_has_its_exit_code(state: str, result: str, workerless: bool, code: int) -> None:
    proto = job_pb2.Job(
        state=job_pb2.JobState.Value(f"JOB_STATE_{state}"), result_json=result, workerless=workerless
    )
    assert job_exit(JobInfo(proto)) == code


@pytest.mark.parametrize("by_default", [False, True])
@pytest.mark.parametrize("decision", prompt_pb2.Decision.keys())
def test_only_a_yes_or_an_answer_exits_with_zero(decision: str, by_default: bool) -> None:
    """A rejection by default was no person's decision."""
    answer = prompt_pb2.Answer(decision=prompt_pb2.Decision.Value(decision))
    if by_default:
        answer.source = prompt_pb2.ANSWER_SOURCE_TIMEOUT_DEFAULT
    resolution = prompt_pb2.Resolution(state=prompt_pb2.PROMPT_STATE_ANSWERED, answer=answer)
    prompt = prompt_pb2.Prompt(state=prompt_pb2.PROMPT_STATE_ANSWERED, resolution=resolution)
    yes = decision in ("DECISION_ACCEPT", "DECISION_EDIT", "DECISION_RESPOND")
    assert answer_exit(PromptInfo(prompt)) == (0 if yes else 6 if by_default else 5)
