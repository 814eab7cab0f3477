"""Events: the log of each job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from askback_server.domain.evolve import fast_init
from askback_server.domain.jobs import JobState
from askback_server.domain.json_text import Json


class EventType(StrEnum):
    """The types of events; docs/states.md explains them."""

    JOB_CREATED = "JOB_CREATED"
    JOB_LEASED = "JOB_LEASED"
    JOB_PROGRESSED = "JOB_PROGRESSED"
    JOB_RELEASED = "JOB_RELEASED"
    JOB_LEASE_LOST = "JOB_LEASE_LOST"
    JOB_RETRIED = "JOB_RETRIED"
    JOB_COMPLETED = "JOB_COMPLETED"
    JOB_FAILED = "JOB_FAILED"
    JOB_CANCEL_REQUESTED = "JOB_CANCEL_REQUESTED"
    JOB_CANCELLED = "JOB_CANCELLED"
    JOB_UPDATED = "JOB_UPDATED"
    JOB_DELETED = "JOB_DELETED"
    JOB_CARRIED_OVER = "JOB_CARRIED_OVER"
    CHECKPOINT_SAVED = "CHECKPOINT_SAVED"
    UNDERSTANDING_UPDATED = "UNDERSTANDING_UPDATED"
    PROMPT_ASKED = "PROMPT_ASKED"
    PROMPT_AMENDED = "PROMPT_AMENDED"
    PROMPT_CLAIMED = "PROMPT_CLAIMED"
    PROMPT_RELEASED = "PROMPT_RELEASED"
    PROMPT_ANSWERED = "PROMPT_ANSWERED"
    PROMPT_EXPIRED = "PROMPT_EXPIRED"
    PROMPT_CANCELLED = "PROMPT_CANCELLED"
    PROMPT_SUPERSEDED = "PROMPT_SUPERSEDED"
    PROMPT_CONSUMED = "PROMPT_CONSUMED"
    PROMPT_ESCALATED = "PROMPT_ESCALATED"
    PROMPT_REMINDED = "PROMPT_REMINDED"
    ANSWER_REFUSED = "ANSWER_REFUSED"
    ANSWER_LATE = "ANSWER_LATE"
    PROMPT_UNATTENDED = "PROMPT_UNATTENDED"
    PROMPT_ATTENDED = "PROMPT_ATTENDED"
    PROMPT_REWORDED = "PROMPT_REWORDED"
    JOB_WAITS = "JOB_WAITS"
    PROMPT_EXCLUDED = "PROMPT_EXCLUDED"
    PROMPT_VOTED = "PROMPT_VOTED"
    VOTE_WITHDRAWN = "VOTE_WITHDRAWN"
    PROMPT_RULED = "PROMPT_RULED"
    PROMPT_DELEGATED = "PROMPT_DELEGATED"
    DELEGATION_ENDED = "DELEGATION_ENDED"
    PROMPT_REROUTED = "PROMPT_REROUTED"
    SUBSTITUTE_SKIPPED = "SUBSTITUTE_SKIPPED"


@fast_init
@dataclass(frozen=True)  # no slots: see evolve.py
class Event:
    """One committed change of a job or one of its prompts."""

    job_id: str
    seq: int
    """1, 2, 3 … in each job, without a gap."""
    type: EventType
    actor: str
    """The principal, worker or `system` that caused it."""
    at: datetime
    state: JobState
    """The job's state after the event."""
    namespace: str
    command_id: str
    """Of the command that wrote it."""
    prompt_id: str | None = None
    data: Mapping[str, Json] | None = None
    """JSON values only."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A job as rebuilt from its events."""

    state: JobState | None = None
    version: int = 0
    attempt: int = 0
    token: int = 0
    prompts: tuple[tuple[str, str], ...] = ()
    """(prompt_id, state) in the order in which they were asked."""
    nudges: tuple[tuple[str, int, int], ...] = ()
    """(prompt_id, steps, reminders) of those that were escalated or reminded, in the same order."""


PROMPT_STATES = {
    EventType.PROMPT_ASKED: "PENDING",
    EventType.PROMPT_ANSWERED: "ANSWERED",
    EventType.PROMPT_EXPIRED: "EXPIRED",
    EventType.PROMPT_CANCELLED: "CANCELLED",
    EventType.PROMPT_SUPERSEDED: "SUPERSEDED",
}
PROMPT_ENDS = PROMPT_STATES.keys() - {EventType.PROMPT_ASKED}
"""The events that end a prompt."""


_NUDGES = (EventType.PROMPT_ESCALATED, EventType.PROMPT_REMINDED)


def fold(events: Iterable[Event]) -> Folded:
    """Rebuild a job's state from its events in order (docs/design.md 10.9).

    Raises ValueError on a gap in `seq` or a change after a prompt's end.
    """
    state: JobState | None = None
    version = attempt = token = 0
    prompts: dict[str, str] = {}
    nudges: dict[str, tuple[int, int]] = {}
    for event in events:
        if event.seq != version + 1:
            raise ValueError(f"seq {event.seq} after {version} of job {event.job_id}")
        version, state = event.seq, event.state
        data = event.data or {}
        attempt, token = data.get("attempt", attempt), data.get("token", token)
        if (becomes := PROMPT_STATES.get(event.type)) and event.prompt_id:
            if prompts.get(event.prompt_id, "PENDING") != "PENDING":
                raise ValueError(f"prompt {event.prompt_id} changed after its end")
            prompts[event.prompt_id] = becomes
        if event.type in _NUDGES and event.prompt_id:
            steps, reminders = nudges.get(event.prompt_id, (0, 0))
            nudges[event.prompt_id] = (data.get("step", steps), data.get("count", reminders))
        elif event.type is EventType.PROMPT_REROUTED and "escalation" in data:
            reminders = nudges.pop(event.prompt_id or "", (0, 0))[1]
            if reminders and event.prompt_id:
                nudges[event.prompt_id] = (0, reminders)
        elif event.type is EventType.PROMPT_AMENDED:
            nudges.pop(event.prompt_id or "", None)  # escalation and reminders start again
    nudged = tuple((p, *nudges[p]) for p in prompts if p in nudges)
    return Folded(state, version, attempt, token, tuple(prompts.items()), nudged)
