"""Verifies the delegations of a prompt, and answers in the place of others, against the events before
them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from askback_server.domain.answers import AnswerSource
from askback_server.domain.content import PromptContent
from askback_server.domain.delegation_documents import delegation_to_doc
from askback_server.domain.events import EventType
from askback_server.domain.stored_jobs import StoredEvent

_IN_PLACE = frozenset({EventType.PROMPT_VOTED, EventType.PROMPT_ANSWERED})
_NOT_OF_THE_DELEGATION = {"round", "key"}


@dataclass(slots=True)
class RecordedDelegations:
    """What the events of a prompt say of its delegations so far."""

    active: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    """By number: the data of the event that made it, or moved its end."""
    are_unknown: bool = False
    """Whether an event that may have changed them is erased."""

    def add(self, each: StoredEvent) -> None:
        """Take the next event of the prompt."""
        event, data = each.event, each.event.data or {}
        if each.erased is not None:
            self.are_unknown = True
        elif event.type is EventType.PROMPT_DELEGATED:
            doc = {name: value for name, value in data.items() if name not in _NOT_OF_THE_DELEGATION}
            self.active[data["number"]] = doc
        else:
            ended = "numbers" if event.type is EventType.DELEGATION_ENDED else "delegations"
            for number in data.get(ended, ()):
                self.active.pop(number, None)

    def allows(self, person: str, data: Mapping[str, Any]) -> bool:
        """Whether a person could act in the place of the one that the data of its answer names."""
        holder, via = data["on_behalf_of"], data.get("via", "")
        mine = [each for each in self.active.values() if each["holder"] == holder]
        if "via" in data:
            return any(each.get("user") == person or (via and each.get("group") == via) for each in mine)
        return any(each.get("user") == person or "group" in each for each in mine)


def verify_delegations(
    history: Sequence[StoredEvent], content: PromptContent | None
) -> Iterator[tuple[int, str]]:
    """What is wrong with the delegations of a prompt: the seq of an event with the problem.

    `history` has the events of the prompt, `content` is the recorded one; None if that is erased.
    """
    known = RecordedDelegations()
    for each in history:
        event, data = each.event, each.event.data or {}
        if event.type in _IN_PLACE and each.erased is None and "on_behalf_of" in data:
            is_carried = "carried_from" in data
            if data.get("source") == AnswerSource.RULE and not is_carried:
                yield event.seq, f"a rule of {event.actor} answered by the right of {data['on_behalf_of']}"
            elif not (is_carried or known.are_unknown or known.allows(event.actor, data)):
                yield event.seq, f"{event.actor} had no right of {data['on_behalf_of']} by a delegation"
        known.add(each)
    if content is None or known.are_unknown or not history:
        return
    given = content.delegations.active if content.delegations is not None else ()
    if [delegation_to_doc(each) for each in given] != list(known.active.values()):
        yield history[-1].event.seq, "the delegations of its prompt are not those that were recorded"
