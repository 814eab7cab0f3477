"""The two state machines: (state, trigger) -> state, and who may pull the trigger.

Nothing else in the program decides a transition. `docs/states.md` is generated from these tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from askback_server.domain.errors import IllegalState, PromptClosed
from askback_server.domain.jobs import JobState
from askback_server.domain.prompts import PromptState


class By(StrEnum):
    """Who causes a step."""

    CLIENT = "client"
    WORKER = "worker"
    PERSON = "person"
    SYSTEM = "system"


class JobTrigger(StrEnum):
    """What moves a job."""

    LEASE = "LEASE"
    WRITE = "WRITE"
    WAIT = "WAIT"
    RESUME = "RESUME"
    REQUEUE = "REQUEUE"
    SETTLE = "SETTLE"
    RELEASE = "RELEASE"
    LOSE = "LOSE"
    EXHAUST = "EXHAUST"
    RETRY = "RETRY"
    OVERRUN = "OVERRUN"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    CANCEL = "CANCEL"
    CANCEL_WISH = "CANCEL_WISH"


class PromptTrigger(StrEnum):
    """What moves a prompt."""

    AMEND = "AMEND"
    CLAIM = "CLAIM"
    UNCLAIM = "UNCLAIM"
    REFUSE = "REFUSE"
    ANSWER = "ANSWER"
    DEFAULT = "DEFAULT"
    EXPIRE = "EXPIRE"
    CANCEL = "CANCEL"
    SUPERSEDE = "SUPERSEDE"
    ESCALATE = "ESCALATE"
    REMIND = "REMIND"


@dataclass(frozen=True, slots=True)
class Step:
    """Where a trigger leads, who may pull it, and what it means."""

    to: JobState | PromptState
    by: tuple[By, ...]
    meaning: str


_P, _R, _H = JobState.PENDING, JobState.RUNNING, JobState.PENDING_HITL
_T = JobTrigger

JOB: dict[tuple[JobState, JobTrigger], Step] = {
    (_P, _T.LEASE): Step(_R, (By.WORKER,), "a worker takes the job; the token rises"),
    (_P, _T.CANCEL): Step(JobState.CANCELLED, (By.CLIENT,), "cancelled; no worker holds it"),
    (_P, _T.FAIL): Step(
        JobState.FAILED, (By.SYSTEM,), "its deadline, or the FAIL_JOB of a prompt that does not block"
    ),
    (_R, _T.WRITE): Step(_R, (By.WORKER,), "progress, checkpoint, non-blocking prompt, receipt"),
    (_R, _T.WAIT): Step(_H, (By.WORKER,), "a blocking prompt was asked"),
    (_R, _T.RELEASE): Step(
        _P, (By.WORKER, By.SYSTEM), "given up without a failure, or never received by the worker"
    ),
    (_R, _T.LOSE): Step(
        _P, (By.SYSTEM,), "the session expired, or its worker does not run the job; attempts are left"
    ),
    (_R, _T.EXHAUST): Step(JobState.FAILED, (By.SYSTEM,), "the same in the last attempt"),
    (_R, _T.RETRY): Step(_P, (By.WORKER,), "a retryable failure; attempts are left"),
    (_R, _T.OVERRUN): Step(_P, (By.SYSTEM,), "the attempt's run time is over; attempts are left"),
    (_R, _T.COMPLETE): Step(JobState.COMPLETED, (By.WORKER,), "a result"),
    (_R, _T.FAIL): Step(
        JobState.FAILED, (By.WORKER, By.SYSTEM), "a failure, a deadline, or a prompt's FAIL_JOB"
    ),
    (_R, _T.CANCEL_WISH): Step(_R, (By.CLIENT,), "the holder is asked to stop"),
    (_R, _T.CANCEL): Step(
        JobState.CANCELLED, (By.WORKER, By.SYSTEM), "the holder confirmed, or the grace ended"
    ),
    (_H, _T.WRITE): Step(_H, (By.WORKER,), "the holder goes on writing, which includes asking"),
    (_H, _T.WAIT): Step(_H, (By.WORKER,), "another blocking prompt was asked"),
    (_H, _T.RESUME): Step(_R, tuple(By), "no blocking prompt is open; its holder lives"),
    (_H, _T.REQUEUE): Step(
        _P,
        tuple(By),
        "no worker holds it; no blocking prompt is open, or the first answer suffices",
    ),
    (_H, _T.SETTLE): Step(
        JobState.COMPLETED, (By.PERSON, By.SYSTEM), "a job without a worker: the resolution is the result"
    ),
    (_H, _T.RELEASE): Step(_H, (By.WORKER,), "parked: waits for people without a worker"),
    (_H, _T.LOSE): Step(_H, (By.SYSTEM,), "the session expired; no attempt is counted"),
    (_H, _T.RETRY): Step(_H, (By.WORKER,), "a retryable failure; open prompts stay open"),
    (_H, _T.COMPLETE): Step(JobState.COMPLETED, (By.WORKER,), "a result; open prompts end"),
    (_H, _T.FAIL): Step(
        JobState.FAILED, (By.WORKER, By.SYSTEM), "a failure, the deadline, or a prompt's FAIL_JOB"
    ),
    (_H, _T.CANCEL_WISH): Step(_H, (By.CLIENT,), "the holder is asked to stop"),
    (_H, _T.CANCEL): Step(
        JobState.CANCELLED, tuple(By), "no worker holds it, or its worker stopped, or the grace ended"
    ),
}

_O = PromptState.PENDING
_Q = PromptTrigger

PROMPT: dict[tuple[PromptState, PromptTrigger], Step] = {
    (_O, _Q.AMEND): Step(_O, (By.WORKER,), "other content under the same key; the revision rises"),
    (_O, _Q.CLAIM): Step(_O, (By.PERSON,), "a person takes it on"),
    (_O, _Q.UNCLAIM): Step(_O, (By.PERSON,), "the claim is given back"),
    (_O, _Q.ESCALATE): Step(_O, (By.SYSTEM,), "a step of its escalation: others are asked too, or instead"),
    (_O, _Q.REMIND): Step(_O, (By.SYSTEM,), "consoles are told of it again"),
    (_O, _Q.REFUSE): Step(_O, (By.PERSON,), "an INVALID or STALE answer, kept for the audit"),
    (_O, _Q.ANSWER): Step(PromptState.ANSWERED, (By.PERSON,), "the first valid answer"),
    (_O, _Q.DEFAULT): Step(PromptState.ANSWERED, (By.SYSTEM,), "the deadline took the stated default"),
    (_O, _Q.EXPIRE): Step(PromptState.EXPIRED, (By.SYSTEM,), "nobody answered in time"),
    (_O, _Q.CANCEL): Step(PromptState.CANCELLED, tuple(By), "withdrawn, or the job ended"),
    (_O, _Q.SUPERSEDE): Step(PromptState.SUPERSEDED, (By.WORKER,), "another prompt took its place"),
}


def next_job_state(job_id: str, state: JobState, trigger: JobTrigger) -> JobState:
    """Where a job goes. Raises IllegalState, naming state and trigger."""
    step = JOB.get((state, trigger))
    if step is None:
        raise IllegalState(
            f"a job in {state} does not allow {trigger}", state=state, event=trigger, job_id=job_id
        )
    assert isinstance(step.to, JobState)
    return step.to


def next_prompt_state(prompt_id: str, state: PromptState, trigger: PromptTrigger) -> PromptState:
    """Where a prompt goes. Raises PromptClosed: every state but PENDING is terminal."""
    step = PROMPT.get((state, trigger))
    if step is None:
        raise PromptClosed(prompt_id, state)
    assert isinstance(step.to, PromptState)
    return step.to
