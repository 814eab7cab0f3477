"""A job's events for people: the status that they lead to, and one line for each event."""

from __future__ import annotations

from typing import Any

from askback._model.enums import JobState
from askback._model.jobs import Event
from askback._model.times import timestamp
from askback._text.text import one_line
from askback.cli.routing_words import routing_words
from askback.cli.words import JOB_STATES
from askback.terminal.words import names_words

_BOOKKEEPING = (
    "JOB_LEASED",
    "CHECKPOINT_SAVED",
    "PROMPT_CONSUMED",
    "PROMPT_UNATTENDED",
    "PROMPT_ATTENDED",
    "UNDERSTANDING_UPDATED",
    "WITHHELD",
)
_OPENS = ("PROMPT_ASKED", "PROMPT_AMENDED")
_CLOSES = ("PROMPT_ANSWERED", "PROMPT_EXPIRED", "PROMPT_CANCELLED", "PROMPT_SUPERSEDED")


class JobStatus:
    """The status of a job after the events applied so far."""

    def __init__(self) -> None:
        self.state = JobState.PENDING
        self.done = 0
        self.total = 0
        self.message = ""
        self._open: dict[str, str] = {}

    def add_open_prompt(self, prompt_id: str, title: str) -> None:
        """Add an open prompt, for a job whose first events are not applied."""
        self._open[prompt_id] = title

    def apply(self, event: Event) -> None:
        """Apply the next event."""
        self.state = event.state
        if event.type == "JOB_PROGRESSED":
            self.done, self.total, self.message = event.done, event.total, event.message
        elif event.type in _OPENS:
            self._open[event.prompt_id] = event.message or self._open.get(event.prompt_id, "")
        elif event.type in _CLOSES:
            self._open.pop(event.prompt_id, None)

    @property
    def is_waiting(self) -> bool:
        """Whether the job waits for people."""
        return self.state.is_waiting

    @property
    def description(self) -> str:
        """The job's activity: `waiting for a human: TITLE`, or the newest progress, or the state."""
        if self.is_waiting:
            titles = [one_line(title, 60) for title in self._open.values()]
            more = f" (and {len(titles) - 1} more)" if len(titles) > 1 else ""
            return (
                f"waiting for a human: {titles[0]}{more}" if titles and titles[0] else "waiting for a human"
            )
        if self.state is JobState.RUNNING and self.message:
            return one_line(self.message, 60)
        return JOB_STATES.get(self.state, str(self.state))


def is_bookkeeping(event: Event) -> bool:
    """Whether an event is internal to the service: it does not change what a person sees of the job."""
    parked = event.type == "JOB_RELEASED" and bool(event.data.get("parked"))
    return parked or event.type in _BOOKKEEPING


def event_words(event: Event) -> str:
    """The event in one line."""
    data, message = event.data, one_line(event.message)
    match event.type:
        case "JOB_CREATED":
            return f"created by {one_line(event.actor)}"
        case "JOB_LEASED":
            if not data:  # the caller may see only the head of the job
                return "taken by a worker"
            return (
                f"taken by {one_line(data.get('worker_id', event.actor))}, attempt {data.get('attempt', 1)}"
            )
        case "JOB_PROGRESSED":
            steps = f"{event.done}/{event.total}" if event.total else str(event.done or "")
            return f"{steps} {message}".strip() or "progress"
        case "JOB_RELEASED":
            return "parked: it waits without a worker" if data.get("parked") else "given back by its worker"
        case "JOB_LEASE_LOST":
            return "its worker was lost" if data.get("received", True) else "no worker received it"
        case "JOB_RETRIED" if not data:
            return "attempt failed"
        case "JOB_RETRIED":
            again = "it will be tried again" if data.get("counted", True) else "tried again, not counted"
            return f"attempt failed ({one_line(data.get('code', ''))}: {message}); {again}"
        case "JOB_WAITS":
            return "waits for people again"
        case "JOB_COMPLETED":
            return "completed"
        case "JOB_FAILED" if not data:
            return "failed"
        case "JOB_FAILED":
            return f"failed: {one_line(data.get('code', ''))}: {message}"
        case "JOB_CANCEL_REQUESTED" if not event.actor:
            return "asked to stop"
        case "WITHHELD":
            return "something that you may not see"
        case "JOB_CANCEL_REQUESTED":
            return f"{one_line(event.actor)} wants it cancelled{f': {message}' if message else ''}"
        case "JOB_CANCELLED":
            return f"cancelled{f': {message}' if message else ''}"
        case "CHECKPOINT_SAVED":
            return f"checkpoint {one_line(data.get('key', ''))} saved"
        case "PROMPT_ASKED":
            return f"asks: {message}"
        case "PROMPT_AMENDED":
            return f"changed its question {one_line(data.get('key', ''))}"
        case "PROMPT_REWORDED":
            return (
                f"question {data.get('round')} asked in other words, its answer kept: "
                f"{one_line(data.get('key', ''))}, digest {one_line(data.get('digest', ''))} now "
                f"{one_line(data.get('asked_digest', ''))}"
            )
        case "PROMPT_CLAIMED":
            return f"question {data.get('round')} claimed by {one_line(event.actor)}"
        case "PROMPT_RELEASED":
            return f"question {data.get('round')} given back by {one_line(event.actor)}"
        case "JOB_CARRIED_OVER":
            return f"carried over from {one_line(data.get('retried_from', ''))}: {_count_words(data)}"
        case "PROMPT_ANSWERED" if data.get("carried_from"):
            decision, by = one_line(data.get("decision", "")), one_line(data.get("by", ""))
            source = one_line(data["carried_from"])
            return f"question {data.get('round')} has the answer of {by} in job {source}: {decision}"
        case "PROMPT_ANSWERED":
            by = (
                "the deadline's default" if data.get("source") == "TIMEOUT_DEFAULT" else one_line(event.actor)
            )
            by += _behalf_words(data)
            by += _HOW.get(str(data.get("source")), "")
            return f"question {data.get('round')} answered by {by}: {one_line(data.get('decision', ''))}"
        case "PROMPT_VOTED":
            voter = f"{one_line(event.actor)}{_behalf_words(data)}"
            return f"question {data.get('round')}: {voter} votes {_vote_words(data)}"
        case "PROMPT_DELEGATED" | "DELEGATION_ENDED" | "PROMPT_REROUTED" | "SUBSTITUTE_SKIPPED":
            return f"question {data.get('round')}: {routing_words(event)}"
        case "PROMPT_RULED":
            return f"question {data.get('round')}: {ruling_words(data)}"
        case "VOTE_WITHDRAWN":
            return f"question {data.get('round')}: {one_line(event.actor)} withdraws a vote"
        case "PROMPT_EXCLUDED":
            names, key = one_line(", ".join(data.get("users", ()))), one_line(data.get("answered", ""))
            return f"question {data.get('round')} excludes {names}, who answered {key}"
        case "PROMPT_UNATTENDED":
            return f"question {data.get('round')}: no one who may answer has a console open"
        case "PROMPT_ATTENDED":
            return f"question {data.get('round')}: someone who may answer has a console open"
        case "PROMPT_EXPIRED":
            return f"question {data.get('round')} expired: no answer in time"
        case "PROMPT_CANCELLED":
            return f"question {data.get('round')} withdrawn"
        case "PROMPT_SUPERSEDED":
            return f"question {data.get('round')} superseded by another"
        case "PROMPT_ESCALATED":
            return (
                f"question {data.get('round')} escalated, step {data.get('step')}: {_escalation_words(data)}"
            )
        case "PROMPT_REMINDED":
            return f"question {data.get('round')}: reminder {data.get('count')}"
        case "ANSWER_REFUSED":
            return f"an answer of {one_line(event.actor)} was refused ({one_line(data.get('status', ''))})"
        case "ANSWER_LATE":
            return f"an answer of {one_line(event.actor)} came too late"
        case other:
            return one_line(other).lower().replace("_", " ")


def _behalf_words(data: dict[str, Any]) -> str:
    """In whose place a person acted; empty: in its own."""
    return f" on behalf of {one_line(data['on_behalf_of'])}" if data.get("on_behalf_of") else ""


_HOW = {"OVERRIDE": " (override)", "RULE": " (by rule)"}
_RULINGS = {"ANSWER": "answered by rule", "REFUSE": "rejected by rule"}


def ruling_words(data: dict[str, Any]) -> str:
    """What rules made of a question: `answered by rule x@1`, `asks people; rules x@1 (x@1: its author is
    excluded)`, `asks people; routed by y@2`."""
    words = _RULINGS.get(str(data.get("outcome")), "asks people")
    routed, held = data.get("routed", ()), data.get("hindered", {})
    decides = words in _RULINGS.values()
    matched = [name for name in data.get("matched", ()) if not (name in routed or (decides and name in held))]
    named = one_line(", ".join(matched))
    hindered = "; ".join(f"{name}: {why}" for name, why in held.items())
    words += f" {named}" if decides else f"; rules {named}" if named else ""
    words += f"; routed by {one_line(', '.join(routed))}" if routed else ""
    words += f"; errors in {one_line(', '.join(data['errors']))}" if data.get("errors") else ""
    words += f"; {one_line(data['conflict'])}" if data.get("conflict") else ""
    return words + (f" ({one_line(hindered)})" if hindered else "")


def _vote_words(data: dict[str, Any]) -> str:
    """What a vote decides, and that it replaces another one."""
    groups = f" ({one_line(', '.join(data['groups']))})" if data.get("groups") else ""
    replaced = ", in place of an earlier vote" if data.get("replaces") else ""
    return f"{one_line(data.get('decision', ''))}{groups}{replaced}"


def _count_words(data: dict[str, Any]) -> str:
    """The number of answers and checkpoints in an event about a carry-over."""
    answers, checkpoints = len(data.get("answers", ())), len(data.get("checkpoints", ()))
    words = f"{answers} answer{'s' * (answers != 1)}, {checkpoints} checkpoint{'s' * (checkpoints != 1)}"
    return words if data.get("pages", 1) == 1 else f"{words} (part {data.get('page')} of {data.get('pages')})"


def _escalation_words(data: dict[str, Any]) -> str:
    """The people whom a step of an escalation asked, or the new priority."""
    named = names_words(data.get("users", ()), data.get("groups", ()))
    if data.get("replace"):
        return f"asked of {named or 'everyone'} instead"
    return f"asked of {named} too" if named else f"priority {data.get('priority')}"


def event_record(event: Event) -> dict[str, Any]:
    """The event as a JSON object, with the names of the contract's JobEvent (see `askback.cli.record`)."""
    found: dict[str, Any] = {
        "jobId": event.job_id,
        "seq": event.seq,
        "type": event.type,
        "actor": event.actor,
        "time": timestamp(event.at).ToJsonString() if event.at else "",
        "promptId": event.prompt_id,
        "state": str(event.state),
        "data": event.data,
    }
    return {name: value for name, value in found.items() if value not in ("", {})}
