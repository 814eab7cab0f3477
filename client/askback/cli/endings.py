"""How a job ended, as an exit code."""

from __future__ import annotations

from askback.cli.exits import Exit
from askback.enums import DecisionKind, JobState, PromptState
from askback.jobs import JobInfo
from askback.prompts import PromptInfo

_YES = (DecisionKind.ACCEPT, DecisionKind.EDIT, DecisionKind.RESPOND)


def job_exit(job: JobInfo) -> Exit:
    """DONE for a completed job, NO for a failed or cancelled one.

    The result of a job without a worker is what people said: it is worth what `answer_exit` says.
    """
    if job.state is not JobState.COMPLETED:
        return Exit.NO
    if not job.proto.workerless or not isinstance(job.result, dict):
        return Exit.DONE
    if job.result.get("state") == PromptState.EXPIRED:
        return Exit.NOBODY
    return Exit.DONE if job.result.get("decision") in _YES else Exit.NO


def answer_exit(prompt: PromptInfo) -> Exit:
    """DONE for a yes or an answer, NO for a no, NOBODY if nobody answered in time."""
    answer = prompt.answered
    if answer is not None:
        return Exit.DONE if answer.decision in _YES else Exit.NO
    return Exit.NOBODY if prompt.state is PromptState.EXPIRED else Exit.NO
