"""The state machines of jobs and prompts: (state, trigger) -> state, and which actors may cause it.

No other code decides a transition. `docs/states.md` is generated from these tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from askback_server.domain.errors import IllegalState, PromptClosed
from askback_server.domain.jobs import JobState
from askback_server.domain.prompts import PromptState


class Actor(StrEnum):
    """Who causes a transition."""

    CLIENT = "client"
    WORKER = "worker"
    PERSON = "person"
    SYSTEM = "system"


class JobTrigger(StrEnum):
    """The triggers of job transitions."""

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
    CANCEL_REQUEST = "CANCEL_REQUEST"


class PromptTrigger(StrEnum):
    """The triggers of prompt transitions."""

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
    EXCLUDE = "EXCLUDE"
    VOTE = "VOTE"
    WITHDRAW = "WITHDRAW"
    RULE = "RULE"
    DELEGATE = "DELEGATE"
    REROUTE = "REROUTE"


@dataclass(frozen=True, slots=True)
class Transition:
    """A row of a table: the new state, the actors that may cause it, and its meaning in docs/states.md."""

    to: JobState | PromptState
    by: tuple[Actor, ...]
    meaning: str


JOB_TRANSITIONS: dict[tuple[JobState, JobTrigger], Transition] = {
    (JobState.PENDING, JobTrigger.LEASE): Transition(
        JobState.RUNNING, (Actor.WORKER,), "a worker leases the job; the fencing token rises"
    ),
    (JobState.PENDING, JobTrigger.CANCEL): Transition(
        JobState.CANCELLED, (Actor.CLIENT,), "the client cancels it; no worker holds it"
    ),
    (JobState.PENDING, JobTrigger.FAIL): Transition(
        JobState.FAILED,
        (Actor.SYSTEM,),
        "its deadline passed, or a non-blocking prompt with FAIL_JOB expired",
    ),
    (JobState.RUNNING, JobTrigger.WRITE): Transition(
        JobState.RUNNING,
        (Actor.WORKER,),
        "the holder reports progress, saves a checkpoint, asks without blocking, or acknowledges",
    ),
    (JobState.RUNNING, JobTrigger.WAIT): Transition(
        JobState.PENDING_HITL, (Actor.WORKER,), "the holder asks a blocking prompt"
    ),
    (JobState.RUNNING, JobTrigger.RELEASE): Transition(
        JobState.PENDING,
        (Actor.WORKER, Actor.SYSTEM),
        "the holder gives it back without a failure, or never received it",
    ),
    (JobState.RUNNING, JobTrigger.LOSE): Transition(
        JobState.PENDING,
        (Actor.SYSTEM,),
        "the session expired, or its worker does not run the job; attempts are left",
    ),
    (JobState.RUNNING, JobTrigger.EXHAUST): Transition(
        JobState.FAILED,
        (Actor.SYSTEM,),
        "the session expired, or its worker does not run the job; it was the last attempt",
    ),
    (JobState.RUNNING, JobTrigger.RETRY): Transition(
        JobState.PENDING, (Actor.WORKER,), "the attempt failed with a retryable failure; attempts are left"
    ),
    (JobState.RUNNING, JobTrigger.OVERRUN): Transition(
        JobState.PENDING, (Actor.SYSTEM,), "the attempt exceeded its run timeout; attempts are left"
    ),
    (JobState.RUNNING, JobTrigger.COMPLETE): Transition(
        JobState.COMPLETED, (Actor.WORKER,), "the holder sends the result"
    ),
    (JobState.RUNNING, JobTrigger.FAIL): Transition(
        JobState.FAILED,
        (Actor.WORKER, Actor.SYSTEM),
        "the attempt failed for good, a deadline passed, or a prompt with FAIL_JOB expired",
    ),
    (JobState.RUNNING, JobTrigger.CANCEL_REQUEST): Transition(
        JobState.RUNNING, (Actor.CLIENT,), "the holder is asked to stop"
    ),
    (JobState.RUNNING, JobTrigger.CANCEL): Transition(
        JobState.CANCELLED, (Actor.WORKER, Actor.SYSTEM), "the holder confirms the cancel, or the grace ended"
    ),
    (JobState.PENDING_HITL, JobTrigger.WRITE): Transition(
        JobState.PENDING_HITL,
        (Actor.WORKER,),
        "the holder writes while the job waits, for example asks a non-blocking prompt",
    ),
    (JobState.PENDING_HITL, JobTrigger.WAIT): Transition(
        JobState.PENDING_HITL, (Actor.WORKER,), "the holder asks another blocking prompt"
    ),
    (JobState.PENDING_HITL, JobTrigger.RESUME): Transition(
        JobState.RUNNING, tuple(Actor), "no blocking prompt is open any more; its holder's session is alive"
    ),
    (JobState.PENDING_HITL, JobTrigger.REQUEUE): Transition(
        JobState.PENDING,
        tuple(Actor),
        "no worker holds it; no blocking prompt is open any more, or the first answer is enough",
    ),
    (JobState.PENDING_HITL, JobTrigger.SETTLE): Transition(
        JobState.COMPLETED,
        (Actor.PERSON, Actor.SYSTEM),
        "the job has no worker; the resolution of its prompt is its result",
    ),
    (JobState.PENDING_HITL, JobTrigger.RELEASE): Transition(
        JobState.PENDING_HITL, (Actor.WORKER,), "the holder parks it: it waits for people without a worker"
    ),
    (JobState.PENDING_HITL, JobTrigger.LOSE): Transition(
        JobState.PENDING_HITL, (Actor.SYSTEM,), "the session expired; the attempt is not counted"
    ),
    (JobState.PENDING_HITL, JobTrigger.RETRY): Transition(
        JobState.PENDING_HITL,
        (Actor.WORKER,),
        "the attempt failed with a retryable failure; open prompts stay open",
    ),
    (JobState.PENDING_HITL, JobTrigger.COMPLETE): Transition(
        JobState.COMPLETED, (Actor.WORKER,), "the holder sends the result; open prompts are cancelled"
    ),
    (JobState.PENDING_HITL, JobTrigger.FAIL): Transition(
        JobState.FAILED,
        (Actor.WORKER, Actor.SYSTEM),
        "the attempt failed for good, the deadline passed, or a prompt with FAIL_JOB expired",
    ),
    (JobState.PENDING_HITL, JobTrigger.CANCEL_REQUEST): Transition(
        JobState.PENDING_HITL, (Actor.CLIENT,), "the holder is asked to stop"
    ),
    (JobState.PENDING_HITL, JobTrigger.CANCEL): Transition(
        JobState.CANCELLED,
        tuple(Actor),
        "it is cancelled and no worker holds it, the holder confirms the cancel, or the grace ended",
    ),
}

PROMPT_TRANSITIONS: dict[tuple[PromptState, PromptTrigger], Transition] = {
    (PromptState.PENDING, PromptTrigger.AMEND): Transition(
        PromptState.PENDING,
        (Actor.WORKER,),
        "the job asks with other content under the same key; the revision rises",
    ),
    (PromptState.PENDING, PromptTrigger.CLAIM): Transition(
        PromptState.PENDING, (Actor.PERSON,), "a person claims it"
    ),
    (PromptState.PENDING, PromptTrigger.UNCLAIM): Transition(
        PromptState.PENDING, (Actor.PERSON,), "the claim is released"
    ),
    (PromptState.PENDING, PromptTrigger.ESCALATE): Transition(
        PromptState.PENDING, (Actor.SYSTEM,), "an escalation step: more people are asked, or others instead"
    ),
    (PromptState.PENDING, PromptTrigger.REMIND): Transition(
        PromptState.PENDING, (Actor.SYSTEM,), "a reminder: consoles are sent the prompt again"
    ),
    (PromptState.PENDING, PromptTrigger.EXCLUDE): Transition(
        PromptState.PENDING,
        (Actor.PERSON, Actor.WORKER),
        "another prompt of the job is answered, and who answers that one may not answer this one",
    ),
    (PromptState.PENDING, PromptTrigger.VOTE): Transition(
        PromptState.PENDING, (Actor.PERSON,), "a vote of a prompt that needs several people"
    ),
    (PromptState.PENDING, PromptTrigger.WITHDRAW): Transition(
        PromptState.PENDING, (Actor.PERSON,), "a person withdraws its vote"
    ),
    (PromptState.PENDING, PromptTrigger.RULE): Transition(
        PromptState.PENDING, (Actor.SYSTEM,), "rules match when it is asked or amended"
    ),
    (PromptState.PENDING, PromptTrigger.DELEGATE): Transition(
        PromptState.PENDING,
        (Actor.PERSON, Actor.SYSTEM),
        "a right to answer is delegated, or returns: by people, and by the absence of a person",
    ),
    (PromptState.PENDING, PromptTrigger.REROUTE): Transition(
        PromptState.PENDING,
        (Actor.CLIENT, Actor.WORKER),
        "the asker or an admin changes the audience, the priority, the deadline or the escalation",
    ),
    (PromptState.PENDING, PromptTrigger.REFUSE): Transition(
        PromptState.PENDING, (Actor.PERSON,), "an INVALID or STALE answer; it is stored for the audit"
    ),
    (PromptState.PENDING, PromptTrigger.ANSWER): Transition(
        PromptState.ANSWERED, (Actor.PERSON,), "the first valid answer, or the last vote that is needed"
    ),
    (PromptState.PENDING, PromptTrigger.DEFAULT): Transition(
        PromptState.ANSWERED, (Actor.SYSTEM,), "the deadline passed; the default answer applies"
    ),
    (PromptState.PENDING, PromptTrigger.EXPIRE): Transition(
        PromptState.EXPIRED, (Actor.SYSTEM,), "the deadline passed without an answer"
    ),
    (PromptState.PENDING, PromptTrigger.CANCEL): Transition(
        PromptState.CANCELLED, tuple(Actor), "it was withdrawn, or its job ended"
    ),
    (PromptState.PENDING, PromptTrigger.SUPERSEDE): Transition(
        PromptState.SUPERSEDED, (Actor.WORKER,), "the job replaced it by another prompt"
    ),
}


def next_job_state(job_id: str, state: JobState, trigger: JobTrigger) -> JobState:
    """The new state of a job. Raises IllegalState, which names the state and the trigger."""
    transition = JOB_TRANSITIONS.get((state, trigger))
    if transition is None:
        raise IllegalState(
            f"a job in {state} does not allow {trigger}", state=state, event=trigger, job_id=job_id
        )
    assert isinstance(transition.to, JobState)
    return transition.to


def next_prompt_state(prompt_id: str, state: PromptState, trigger: PromptTrigger) -> PromptState:
    """The new state of a prompt. Raises PromptClosed: every state but PENDING is terminal."""
    transition = PROMPT_TRANSITIONS.get((state, trigger))
    if transition is None:
        raise PromptClosed(prompt_id, state)
    assert isinstance(transition.to, PromptState)
    return transition.to
