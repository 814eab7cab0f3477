"""Verifies that those who decided a prompt could, by its recorded content and the events before.

The rules were applied to the rows as they were at that time. A row that was changed for a moment and changed
back leaves a decision that its events do not allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from askback_server.domain.answers import AnswerSource
from askback_server.domain.audit_votes import ASKINGS, RecordedVotes
from askback_server.domain.content import Exclusion, PromptContent
from askback_server.domain.decisions import AUTHORISING, Decision
from askback_server.domain.events import PROMPT_ENDS, EventType
from askback_server.domain.rules import Effect
from askback_server.domain.stored_jobs import StoredEvent

_WHILE_OPEN = PROMPT_ENDS | {
    EventType.PROMPT_AMENDED,
    EventType.PROMPT_CLAIMED,
    EventType.PROMPT_VOTED,
    EventType.VOTE_WITHDRAWN,
    EventType.PROMPT_DELEGATED,
    EventType.DELEGATION_ENDED,
    EventType.PROMPT_REROUTED,
    EventType.SUBSTITUTE_SKIPPED,
}
_RULES_APPLY = {str(AnswerSource.HUMAN), str(AnswerSource.TEST), str(AnswerSource.RULE)}
"""Sources of answers whose authors exclusions and approvals bind."""


def verify_decisions(history: Sequence[StoredEvent], content: PromptContent) -> Iterator[tuple[int, str]]:
    """What is wrong with the decisions on a prompt: the seq of each event with the problem.

    `history` has the events of the prompt, `content` is the recorded one, that of its newest asking or
    amendment. Votes on earlier contents are judged by the events alone.
    """
    votes, excluded, is_open = RecordedVotes(), _Excluded(history, content), True
    ruled = ""
    for each in history:
        event, data = each.event, each.event.data or {}
        if event.type in _WHILE_OPEN and not is_open:
            yield event.seq, f"{event.type} of a prompt that had ended"
            return
        is_open = is_open and event.type not in PROMPT_ENDS
        if event.type in ASKINGS:
            ruled = ""
        elif event.type is EventType.PROMPT_RULED:
            ruled = "erased" if each.erased is not None else str(data.get("outcome"))
        if each.erased is None:
            if _binds(event.type, data) and (who := _excluded_of(excluded, event.actor, data)):
                yield event.seq, f"{who} was excluded from answering"
            elif event.type is EventType.PROMPT_ANSWERED and _lacks_ruling(data, ruled):
                yield event.seq, "a rule answered it, and no ruling with an answer was recorded"
            elif event.type is EventType.PROMPT_ANSWERED and (problem := _misses(data, votes, content)):
                yield event.seq, problem
        excluded.add(each)
        votes.add(each)


def _lacks_ruling(data: Mapping[str, Any], ruled: str) -> bool:
    """Whether a rule answered the asking of a prompt for which the rules asked people, or said nothing."""
    is_of_rule = data.get("source") == AnswerSource.RULE and "carried_from" not in data
    return is_of_rule and ruled in ("", str(Effect.ASK))


def _binds(type: EventType, data: Mapping[str, Any]) -> bool:
    """Whether the actor of an event answered as a person whom an exclusion binds."""
    if type is EventType.PROMPT_ANSWERED:
        return data.get("source") in _RULES_APPLY and "carried_from" not in data
    return type is EventType.PROMPT_VOTED


def _excluded_of(excluded: _Excluded, actor: str, data: Mapping[str, Any]) -> str:
    """Who of the author of an answer and the person in whose place it was given was excluded; else empty."""
    if excluded.has(actor, data.get("groups", ())):
        return actor
    holder: str = data.get("on_behalf_of", "")
    return holder if excluded.has(holder, ()) else ""


class _Excluded:
    """Who was excluded, event by event.

    The recorded content has the names at the end. Those that a PROMPT_EXCLUDED event added were not there
    before it; of earlier contents only such names are known.
    """

    def __init__(self, history: Sequence[StoredEvent], content: PromptContent) -> None:
        self._last = content.exclusion or Exclusion()
        self._asked = max((each.event.seq for each in history if each.event.type in ASKINGS), default=0)
        added: frozenset[str] | None = frozenset()
        self._newest = self._asked
        for each in history:
            if each.event.type is EventType.PROMPT_EXCLUDED and each.event.seq > self._asked:
                self._newest = each.event.seq
                users = (each.event.data or {}).get("users", ())
                added = None if added is None or each.erased is not None else added.union(users)
        self._first = frozenset[str]() if added is None else self._last.users - added
        self._users = frozenset[str]()
        self._groups = frozenset[str]()

    def add(self, each: StoredEvent) -> None:
        """Take the next event of the prompt."""
        event = each.event
        if event.type in ASKINGS:
            is_last = event.seq == self._asked
            self._users = self._first if is_last else frozenset()
            self._groups = self._last.groups if is_last else frozenset()
        elif event.type is EventType.PROMPT_EXCLUDED:
            self._users = self._users.union((event.data or {}).get("users", ()))
        if event.seq == self._newest:
            self._users = self._last.users

    def has(self, person: str, groups: Sequence[str]) -> bool:
        """Whether a person with these groups is excluded. An answer without a vote has none recorded."""
        return person in self._users or not self._groups.isdisjoint(groups)


def _misses(data: Mapping[str, Any], votes: RecordedVotes, content: PromptContent) -> str:
    """What an answer lacks to decide the prompt by its content and its recorded votes; empty if nothing."""
    approval, source = content.approval, data.get("source")
    if source == AnswerSource.TIMEOUT_DEFAULT:
        default = content.default_answer
        is_default = default is not None and default.decision == data.get("decision")
        return "" if is_default else "it is not the default answer of the recorded content"
    if approval is None or source == AnswerSource.OVERRIDE or "carried_from" in data:
        return "" if "votes" not in data else "votes decided it, and its content needs none"
    if "votes" not in data:
        return "one person answered it, and its content needs an approval"
    if votes.are_unknown:
        return ""
    named = [(answer_id, votes.live.get(answer_id)) for answer_id in data["votes"]]
    for answer_id, vote in named:
        if vote is None:
            return f"the vote {answer_id}, which decided it, was not recorded or had ended"
    counted = [vote for _, vote in named if vote is not None]
    outcomes = {(vote.data["outcome"], vote.data["decision"]) for vote in counted}
    if len(outcomes) != 1 or counted[-1].data["answer_id"] != data["answer_id"]:
        return "the votes that decided it are not for one outcome, of which its answer is the last"
    alike = [key for key, vote in votes.live.items() if vote.data["outcome"] == counted[-1].data["outcome"]]
    if data["votes"] != alike:
        return "the votes that decided it are not all of their outcome"
    decision = counted[-1].data["decision"]
    if decision != data["decision"]:
        return f"the votes that decided it are for {decision}"
    people = {vote.person: frozenset(vote.data["groups"]) for vote in counted}
    if Decision(decision) in AUTHORISING:
        is_enough = approval.missing(people).nothing
    else:
        is_enough = len(people) >= (approval.reject_at if decision == Decision.REJECT else 1)
    return "" if is_enough else "the votes that decided it do not complete its approval"
