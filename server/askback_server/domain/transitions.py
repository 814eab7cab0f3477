"""The two state machines: (state, trigger) -> state, and who may pull the trigger.

Nothing else in the program decides a transition. `docs/states.md` is generated from these tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from askback_server.domain.errors import IllegalState, PromptClosed
from askback_server.domain.jobs import JobState
from askback_server.domain.prompts import PromptState


class Actor(StrEnum):
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
class Transition:
    """Where a trigger leads, who may pull it, and what it means."""

    to: JobState | PromptState
    by: tuple[Actor, ...]
    meaning: str


JOB_TRANSITIONS: dict[tuple[JobState, JobTrigger], Transition] = {
    (JobState.PENDING, JobTrigger.LEASE): Transition(
        JobState.RUNNING, (Actor.WORKER,), "a worker takes the job; the token rises"
    ),
    (JobState.PENDING, JobTrigger.CANCEL): Transition(
        JobState.CANCELLED, (Actor.CLIENT,), "cancelled; no worker holds it"
    ),
    (JobState.PENDING, JobTrigger.FAIL): Transition(
        JobState.FAILED, (Actor.SYSTEM,), "its deadline, or the FAIL_JOB of a prompt that does not block"
    ),
    (JobState.RUNNING, JobTrigger.WRITE): Transition(
        JobState.RUNNING, (Actor.WORKER,), "progress, checkpoint, non-blocking prompt, receipt"
    ),
    (JobState.RUNNING, JobTrigger.WAIT): Transition(
        JobState.PENDING_HITL, (Actor.WORKER,), "a blocking prompt was asked"
    ),
    (JobState.RUNNING, JobTrigger.RELEASE): Transition(
        JobState.PENDING,
        (Actor.WORKER, Actor.SYSTEM),
        "given up without a failure, or never received by the worker",
    ),
    (JobState.RUNNING, JobTrigger.LOSE): Transition(
        JobState.PENDING,
        (Actor.SYSTEM,),
        "the session expired, or its worker does not run the job; attempts are left",
    ),
    (JobState.RUNNING, JobTrigger.EXHAUST): Transition(
        JobState.FAILED, (Actor.SYSTEM,), "the same in the last attempt"
    ),
    (JobState.RUNNING, JobTrigger.RETRY): Transition(
        JobState.PENDING, (Actor.WORKER,), "a retryable failure; attempts are left"
    ),
    (JobState.RUNNING, JobTrigger.OVERRUN): Transition(
        JobState.PENDING, (Actor.SYSTEM,), "the attempt's run time is over; attempts are left"
    ),
    (JobState.RUNNING, JobTrigger.COMPLETE): Transition(JobState.COMPLETED, (Actor.WORKER,), "a result"),
    (JobState.RUNNING, JobTrigger.FAIL): Transition(
        JobState.FAILED, (Actor.WORKER, Actor.SYSTEM), "a failure, a deadline, or a prompt's FAIL_JOB"
    ),
    (JobState.RUNNING, JobTrigger.CANCEL_WISH): Transition(
        JobState.RUNNING, (Actor.CLIENT,), "the holder is asked to stop"
    ),
    (JobState.RUNNING, JobTrigger.CANCEL): Transition(
        JobState.CANCELLED, (Actor.WORKER, Actor.SYSTEM), "the holder confirmed, or the grace ended"
    ),
    (JobState.PENDING_HITL, JobTrigger.WRITE): Transition(
        JobState.PENDING_HITL, (Actor.WORKER,), "the holder goes on writing, which includes asking"
    ),
    (JobState.PENDING_HITL, JobTrigger.WAIT): Transition(
        JobState.PENDING_HITL, (Actor.WORKER,), "another blocking prompt was asked"
    ),
    (JobState.PENDING_HITL, JobTrigger.RESUME): Transition(
        JobState.RUNNING, tuple(Actor), "no blocking prompt is open; its holder lives"
    ),
    (JobState.PENDING_HITL, JobTrigger.REQUEUE): Transition(
        JobState.PENDING,
        tuple(Actor),
        "no worker holds it; no blocking prompt is open, or the first answer suffices",
    ),
    (JobState.PENDING_HITL, JobTrigger.SETTLE): Transition(
        JobState.COMPLETED,
        (Actor.PERSON, Actor.SYSTEM),
        "a job without a worker: the resolution is the result",
    ),
    (JobState.PENDING_HITL, JobTrigger.RELEASE): Transition(
        JobState.PENDING_HITL, (Actor.WORKER,), "parked: waits for people without a worker"
    ),
    (JobState.PENDING_HITL, JobTrigger.LOSE): Transition(
        JobState.PENDING_HITL, (Actor.SYSTEM,), "the session expired; no attempt is counted"
    ),
    (JobState.PENDING_HITL, JobTrigger.RETRY): Transition(
        JobState.PENDING_HITL, (Actor.WORKER,), "a retryable failure; open prompts stay open"
    ),
    (JobState.PENDING_HITL, JobTrigger.COMPLETE): Transition(
        JobState.COMPLETED, (Actor.WORKER,), "a result; open prompts end"
    ),
    (JobState.PENDING_HITL, JobTrigger.FAIL): Transition(
        JobState.FAILED, (Actor.WORKER, Actor.SYSTEM), "a failure, the deadline, or a prompt's FAIL_JOB"
    ),
    (JobState.PENDING_HITL, JobTrigger.CANCEL_WISH): Transition(
        JobState.PENDING_HITL, (Actor.CLIENT,), "the holder is asked to stop"
    ),
    (JobState.PENDING_HITL, JobTrigger.CANCEL): Transition(
        JobState.CANCELLED, tuple(Actor), "no worker holds it, or its worker stopped, or the grace ended"
    ),
}

PROMPT_TRANSITIONS: dict[tuple[PromptState, PromptTrigger], Transition] = {
    (PromptState.PENDING, PromptTrigger.AMEND): Transition(
        PromptState.PENDING, (Actor.WORKER,), "other content under the same key; the revision rises"
    ),
    (PromptState.PENDING, PromptTrigger.CLAIM): Transition(
        PromptState.PENDING, (Actor.PERSON,), "a person takes it on"
    ),
    (PromptState.PENDING, PromptTrigger.UNCLAIM): Transition(
        PromptState.PENDING, (Actor.PERSON,), "the claim is given back"
    ),
    (PromptState.PENDING, PromptTrigger.ESCALATE): Transition(
        PromptState.PENDING, (Actor.SYSTEM,), "a step of its escalation: others are asked too, or instead"
    ),
    (PromptState.PENDING, PromptTrigger.REMIND): Transition(
        PromptState.PENDING, (Actor.SYSTEM,), "consoles are told of it again"
    ),
    (PromptState.PENDING, PromptTrigger.REFUSE): Transition(
        PromptState.PENDING, (Actor.PERSON,), "an INVALID or STALE answer, kept for the audit"
    ),
    (PromptState.PENDING, PromptTrigger.ANSWER): Transition(
        PromptState.ANSWERED, (Actor.PERSON,), "the first valid answer"
    ),
    (PromptState.PENDING, PromptTrigger.DEFAULT): Transition(
        PromptState.ANSWERED, (Actor.SYSTEM,), "the deadline took the stated default"
    ),
    (PromptState.PENDING, PromptTrigger.EXPIRE): Transition(
        PromptState.EXPIRED, (Actor.SYSTEM,), "nobody answered in time"
    ),
    (PromptState.PENDING, PromptTrigger.CANCEL): Transition(
        PromptState.CANCELLED, tuple(Actor), "withdrawn, or the job ended"
    ),
    (PromptState.PENDING, PromptTrigger.SUPERSEDE): Transition(
        PromptState.SUPERSEDED, (Actor.WORKER,), "another prompt took its place"
    ),
}


def next_job_state(job_id: str, state: JobState, trigger: JobTrigger) -> JobState:
    """Where a job goes. Raises IllegalState, naming state and trigger."""
    transition = JOB_TRANSITIONS.get((state, trigger))
    if transition is None:
        raise IllegalState(
            f"a job in {state} does not allow {trigger}", state=state, event=trigger, job_id=job_id
        )
    assert isinstance(transition.to, JobState)
    return transition.to


def next_prompt_state(prompt_id: str, state: PromptState, trigger: PromptTrigger) -> PromptState:
    """Where a prompt goes. Raises PromptClosed: every state but PENDING is terminal."""
    transition = PROMPT_TRANSITIONS.get((state, trigger))
    if transition is None:
        raise PromptClosed(prompt_id, state)
    assert isinstance(transition.to, PromptState)
    return transition.to
