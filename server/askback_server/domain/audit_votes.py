"""Verifies the votes of a job's prompts against the events that recorded them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from askback_server.domain.chain import ERASED
from askback_server.domain.events import EventType
from askback_server.domain.stored_jobs import Fault, StoredEvent, StoredJob


def verify_votes(stored: StoredJob) -> Iterator[Fault]:
    """The faults of the votes that the rows of the prompts hold."""
    recorded: dict[str, _Recorded] = {}
    for each in stored.events:
        if each.event.prompt_id:
            recorded.setdefault(each.event.prompt_id, _Recorded()).add(each)
    answers = {(row["interaction_id"], row["answer_id"]): row["answer"] for row in stored.answers}
    for row in stored.prompts:
        prompt_id = row["interaction_id"]
        known = recorded.get(prompt_id, _Recorded())
        if known.erased or row["votes"] == ERASED:
            continue
        doc = json.loads(row["votes"]) if row["votes"] else {"live": [], "earlier": []}
        live: dict[str, Mapping[str, Any]] = {json.loads(v["answer"])["answer_id"]: v for v in doc["live"]}
        if list(live) != list(known.live):
            yield Fault("hitl_interactions", prompt_id, "its votes are not those that were recorded")
            continue
        for answer_id, vote in live.items():
            said = known.live[answer_id]
            if vote["answer"] != answers.get((prompt_id, answer_id)):
                yield Fault("hitl_interactions", prompt_id, f"its vote {answer_id} is not the answer")
            elif (vote["outcome"], vote["groups"]) != (said["outcome"], said["groups"]):
                problem = f"its vote {answer_id} has not the outcome and groups that were recorded"
                yield Fault("hitl_interactions", prompt_id, problem)
        voters = {json.loads(vote["answer"])["user_id"] for vote in live.values()}
        if set(doc["earlier"]) != known.people - voters:
            yield Fault("hitl_interactions", prompt_id, "its earlier voters are not those that were recorded")


@dataclass(slots=True)
class _Recorded:
    """What the events of a prompt say of its votes."""

    live: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """The data of the events of the votes that are live, by answer id."""
    people: set[str] = field(default_factory=set)
    erased: bool = False
    """Whether an event is erased, so that the votes are not known."""

    def add(self, each: StoredEvent) -> None:
        event, data = each.event, each.event.data or {}
        if event.type is EventType.PROMPT_VOTED:
            if each.erased is not None:
                self.erased = True
                return
            self.live.pop(data.get("replaces", ""), None)
            for answer_id in data.get("votes", ()):
                self.live.pop(answer_id, None)
            for answer_id, groups in data.get("lapsed", {}).items():
                self.live[answer_id] = {**self.live[answer_id], "groups": groups}
            self.live[data["answer_id"]] = data
            self.people.add(event.actor)
        elif event.type is EventType.VOTE_WITHDRAWN:
            self.live.pop(data.get("answer_id", ""), None)
        elif event.type in (EventType.PROMPT_EXCLUDED, EventType.PROMPT_ESCALATED):
            for answer_id in data.get("votes", ()):
                self.live.pop(answer_id, None)
        elif event.type is EventType.PROMPT_AMENDED:
            self.live.clear()
