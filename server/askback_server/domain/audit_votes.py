"""Verifies the votes of a prompt against the events that recorded them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from askback_server.domain.chain import ERASED
from askback_server.domain.events import EventType
from askback_server.domain.stored_jobs import StoredEvent

ASKINGS = frozenset({EventType.PROMPT_ASKED, EventType.PROMPT_AMENDED})
"""The events that set the content of a prompt, and so begin its votes."""
_VOTINGS = frozenset(
    {
        EventType.PROMPT_VOTED,
        EventType.VOTE_WITHDRAWN,
        EventType.PROMPT_EXCLUDED,
        EventType.PROMPT_ESCALATED,
        EventType.DELEGATION_ENDED,
        EventType.PROMPT_REROUTED,
    }
)


@dataclass(frozen=True, slots=True)
class RecordedVote:
    """A vote as its event recorded it."""

    person: str
    data: Mapping[str, Any]


@dataclass(slots=True)
class RecordedVotes:
    """What the events of a prompt say of its votes so far."""

    live: dict[str, RecordedVote] = field(default_factory=dict)
    """By answer id."""
    people: set[str] = field(default_factory=set)
    shortfalls: Any = None
    """What was recorded as missing in the directory; None if that is not known."""
    are_unknown: bool = False
    """Whether an event of a vote is erased."""

    def add(self, each: StoredEvent) -> None:
        """Take the next event of the prompt."""
        event, data = each.event, each.event.data or {}
        if event.type in ASKINGS:
            self.live.clear()
            self.shortfalls = data.get("shortfalls")
        elif event.type in _VOTINGS and each.erased is not None:
            self.are_unknown = True
        elif event.type is EventType.PROMPT_VOTED:
            self.live.pop(data.get("replaces", ""), None)
            for answer_id in data.get("votes", ()):
                self.live.pop(answer_id, None)
            for answer_id, (groups, entry) in data.get("lapsed", {}).items():
                vote = self.live[answer_id]
                self.live[answer_id] = replace(vote, data={**vote.data, "groups": groups, "entry": entry})
            self.live[data["answer_id"]] = RecordedVote(event.actor, data)
            self.people.add(event.actor)
        elif event.type is EventType.VOTE_WITHDRAWN:
            self.live.pop(data.get("answer_id", ""), None)
        elif event.type in _VOTINGS:
            for answer_id in data.get("votes", ()):
                self.live.pop(answer_id, None)
            self.shortfalls = data.get("shortfalls", self.shortfalls)


def verify_votes(
    stored: str | None, history: Sequence[StoredEvent], answers: Mapping[str, str]
) -> Iterator[str]:
    """What is wrong with the document of votes of a prompt.

    `history` has its events, `answers` the rows of its answers by their ids.
    """
    known = RecordedVotes()
    for each in history:
        known.add(each)
    if stored == ERASED:
        if not any(each.erased or (each.documents and each.document_salt is None) for each in history):
            yield "its votes are erased, and no event says so"
        return
    if known.are_unknown:
        return
    try:
        yield from _compare(json.loads(stored) if stored else {}, known, answers)
    except (ValueError, TypeError, KeyError, AttributeError):
        yield "its votes cannot be read"


def _compare(doc: Mapping[str, Any], known: RecordedVotes, answers: Mapping[str, str]) -> Iterator[str]:
    live: dict[str, Mapping[str, Any]] = {
        json.loads(v["answer"])["answer_id"]: v for v in doc.get("live", ())
    }
    if list(live) != list(known.live):
        yield "its votes are not those that were recorded"
        return
    for answer_id, vote in live.items():
        said = known.live[answer_id].data
        if vote["answer"] != answers.get(answer_id, vote["answer"]):  # a missing row is a fault of its own
            yield f"its vote {answer_id} is not the answer"
        elif (vote["outcome"], vote["groups"]) != (said["outcome"], said["groups"]):
            yield f"its vote {answer_id} has not the outcome and groups that were recorded"
        elif vote["entry"] != said.get("entry", vote["entry"]):
            yield f"its vote {answer_id} has not the place in the audience that was recorded"
        elif any(vote.get(name) != (said.get(name) or None) for name in ("delegation", "via")):
            yield f"its vote {answer_id} is not by the delegation that was recorded"
    voters = {vote.person for vote in known.live.values()}
    if set(doc.get("earlier", ())) != known.people - voters:
        yield "its earlier voters are not those that were recorded"
    if known.shortfalls is not None and doc.get("shortfalls", []) != known.shortfalls:
        yield "its shortfalls are not those that were recorded"
