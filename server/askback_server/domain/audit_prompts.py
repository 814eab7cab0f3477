"""Verifies the columns of a prompt that follow from its events, and from the creation of its job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from askback_server.domain.answers import AnswerSource
from askback_server.domain.events import PROMPT_ENDS, Event, EventType
from askback_server.domain.stored_jobs import StoredEvent

_REFUSED = frozenset({EventType.ANSWER_REFUSED, EventType.ANSWER_LATE})
_END_CLAIMS = PROMPT_ENDS | {EventType.PROMPT_RELEASED, EventType.PROMPT_ESCALATED}


def has_submission(event: Event) -> bool:
    """Whether an answer was submitted with an event. Of one that is erased it is not known: then True.

    The default of a deadline is no submission, and votes that decided a prompt are those of other events.
    """
    if event.type is EventType.PROMPT_ANSWERED:
        data = event.data or {}
        return data.get("source") != AnswerSource.TIMEOUT_DEFAULT and "votes" not in data
    return event.type in _REFUSED or event.type is EventType.PROMPT_VOTED


def verify_columns(
    row: Mapping[str, Any], history: Sequence[StoredEvent], created: Mapping[str, Any]
) -> Iterator[str]:
    """What is wrong with the row of a prompt with these events. `created` has the data of its job's first."""
    known = _Known()
    for each in history:
        known.add(each, row["digest"])
    if row["revision"] != known.revision:
        yield f"its revision is {row['revision']}, and its events say {known.revision}"
    if known.claimants is not None and row["claimed_by"] not in known.claimants:
        yield "its claim is not the one that was recorded"
    if not known.submissions - known.unsure <= row["submissions"] <= known.submissions:
        yield f"it has {row['submissions']} submissions, and its events say {known.submissions}"
    if known.same_digest is not None and (row["same_digest"] or "") != known.same_digest:
        yield "its digest of another wording is not the one that was recorded"
    if known.asked_digest is not None and (row["asked_digest"] or "") != known.asked_digest:
        yield "its digest as the job asked it is not the one that was recorded"
    if (row["requested_by"] or "") != created.get("user_id", row["requested_by"] or ""):
        yield "it was not requested by the user of its job"


@dataclass(slots=True)
class _Known:
    """What the events of a prompt say of its columns."""

    revision: int = 0
    claimants: set[str] | None = field(default_factory=lambda: {""})
    """Those of whom one has the claim; an empty name for none. None: an erased event hides the name."""
    submissions: int = 0
    unsure: int = 0
    """How many of the submissions may be none, because their events are erased."""
    same_digest: str | None = ""
    """None if an event with it is erased."""
    asked_digest: str | None = ""
    """None if the event with it is erased."""

    def add(self, each: StoredEvent, digest: str) -> None:
        event, data, is_erased = each.event, each.event.data or {}, each.erased is not None
        if event.type in (EventType.PROMPT_ASKED, EventType.PROMPT_AMENDED):
            self.revision += 1
            self.asked_digest = ""
        elif event.type is EventType.PROMPT_RULED:
            self.asked_digest = None if is_erased else str(data.get("asked_digest", ""))
        elif event.type is EventType.PROMPT_REWORDED:
            asked = None if is_erased else str(data.get("asked_digest"))
            if asked != digest:  # an answer that a retry carried over has the new wording itself
                self.same_digest = asked
        if has_submission(event):
            self.submissions += 1
            self.unsure += is_erased and event.type is EventType.PROMPT_ANSWERED
        self._claim(event, data, is_erased=is_erased)

    def _claim(self, event: Event, data: Mapping[str, Any], *, is_erased: bool) -> None:
        if event.type is EventType.PROMPT_CLAIMED:
            self.claimants = None if is_erased else {event.actor}
        elif event.type in _END_CLAIMS:
            self.claimants = {""}
        elif self.claimants is None:
            return
        elif event.type is EventType.PROMPT_VOTED and (is_erased or event.actor in self.claimants):
            self.claimants |= {""}
            self.claimants -= {event.actor} if event.actor else set()
        elif event.type is EventType.PROMPT_REROUTED:
            self.claimants |= {""}
            if "users" in data:
                self.claimants = {""}
        elif event.type is EventType.PROMPT_DELEGATED:
            if is_erased or data.get("mode") == "TRANSFER":
                self.claimants |= {""}
                self.claimants -= {event.actor} if event.actor else set()
        elif event.type is EventType.DELEGATION_ENDED:
            self.claimants |= {""}
        elif event.type in (EventType.PROMPT_EXCLUDED, EventType.PROMPT_AMENDED):
            # They end the claims of people who are excluded, and name only those who were not before.
            self.claimants |= {""}
            self.claimants -= set(data.get("users", ()))
