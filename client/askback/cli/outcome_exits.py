"""Exit codes for the outcome of a job or a prompt."""

from __future__ import annotations

from askback._model.enums import DecisionKind, JobState, PromptState
from askback._model.jobs import JobInfo
from askback._model.prompts import PromptInfo
from askback.cli.exits import Exit

_YES = (DecisionKind.ACCEPT, DecisionKind.EDIT, DecisionKind.RESPOND)


def job_exit(job: JobInfo) -> Exit:
    """DONE for a completed job, NO for a failed or cancelled one.

    The result of a job without a worker is the answer of a person, with the exit codes of `answer_exit`.
    """
    if job.state is not JobState.COMPLETED:
        return Exit.NO
    if not job.proto.workerless or not isinstance(job.result, dict):
        return Exit.DONE
    result = job.result
    by_default = result.get("source") == "TIMEOUT_DEFAULT"
    return _exit_code(result.get("state"), result.get("decision"), by_default=by_default)


def answer_exit(prompt: PromptInfo) -> Exit:
    """The exit code of an answered or expired prompt: DONE for a yes or a value, NO for a person's no.

    NO_ANSWER for an expired prompt and for a default that means no, so that scripts can distinguish silence
    from a refusal. A default that means yes is DONE.
    """
    answer = prompt.answered
    if answer is None:
        return _exit_code(prompt.state, None, by_default=False)
    return _exit_code(prompt.state, answer.decision, by_default=answer.by_default)


def _exit_code(state: str | None, decision: str | None, *, by_default: bool) -> Exit:
    if state == PromptState.ANSWERED and decision in _YES:
        return Exit.DONE
    return Exit.NO_ANSWER if by_default or state == PromptState.EXPIRED else Exit.NO
