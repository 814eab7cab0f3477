"""The votes of a prompt: which count, and what they decide."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from askback_server.domain.answers import Answer
from askback_server.domain.approvals import Approval, Missing
from askback_server.domain.content import Audience
from askback_server.domain.decisions import AUTHORISING, Decision
from askback_server.domain.digests import digest_of
from askback_server.domain.electorate import Departures


@dataclass(frozen=True, slots=True)
class Vote:
    """The valid answer of a person to a prompt with an approval."""

    answer: Answer
    outcome: str
    """A digest of what it decides: equal for votes that count together (`outcome_of`)."""
    groups: frozenset[str]
    """The groups of the person when it voted, as far as the approval or the audience names them."""
    entry: frozenset[str] | None = None
    """The groups by which the person in whose place it was given was in the audience. None: by name, or
    because everyone is asked."""
    delegation: int = 0
    """The number of the delegation by which it was given; 0: by a right of the person's own."""
    via: str = ""
    """The group to which that delegation was made; empty if it names the person."""

    @property
    def user_id(self) -> str:
        """The person who voted."""
        return self.answer.user_id

    @property
    def slot(self) -> str:
        """The person in whose place it was given: of several who may act for one person one vote counts."""
        return self.answer.on_behalf_of or self.answer.user_id


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The directory knows fewer people than are needed: of a group, or with an empty `group` in all."""

    group: str
    required: int
    known: int


@dataclass(frozen=True, slots=True)
class Count:
    """The votes for one outcome that count now."""

    outcome: str
    decision: Decision
    votes: tuple[Vote, ...]
    required: int
    """How many are needed in all."""
    missing: Missing


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes of a prompt. A person has at most one that is live."""

    live: tuple[Vote, ...] = ()
    """By the time of the answer."""
    earlier: frozenset[str] = frozenset()
    """People whose vote was withdrawn, or ended by an amendment or an exclusion."""
    shortfalls: tuple[Shortfall, ...] = ()
    """What was known to be missing in the directory when the prompt was asked or amended."""

    @property
    def people(self) -> frozenset[str]:
        """All who have voted, also those whose votes are no longer live."""
        return self.earlier | {vote.user_id for vote in self.live}

    @property
    def size(self) -> int:
        """About how many bytes the texts of its answers take."""
        return sum(vote.answer.size for vote in self.live)

    @property
    def distinct_bytes(self) -> int:
        """The bytes of its texts, with those of each outcome counted once."""
        first = {vote.outcome: vote.answer for vote in reversed(self.live)}
        texts = [vote.answer.comment for vote in self.live]
        for answer in first.values():
            texts += [answer.values_json, *(edit.text for edit in answer.edits)]
        return sum(len(text.encode()) for text in texts)

    def of(self, user_id: str) -> Vote | None:
        """The live vote of a person."""
        return next((vote for vote in self.live if vote.user_id == user_id), None)

    def of_slot(self, slot: str) -> Vote | None:
        """The live vote that was given in a person's place, or by that person itself."""
        return next((vote for vote in self.live if vote.slot == slot), None)

    def cast(self, vote: Vote) -> Votes:
        """With this vote in place of the earlier ones of the person, and in its place."""
        others = tuple(v for v in self.live if v.user_id != vote.user_id and v.slot != vote.slot)
        ended = {v.user_id for v in self.live} - {v.user_id for v in others}
        return replace(self, live=(*others, vote), earlier=(self.earlier | ended) - {vote.user_id})

    def end(self, people: Iterable[str]) -> Votes:
        """Without the live votes of these people."""
        ended = {vote.user_id for vote in self.live} & set(people)
        left = tuple(vote for vote in self.live if vote.user_id not in ended)
        return replace(self, live=left, earlier=self.earlier | ended)

    def end_all(self, shortfalls: tuple[Shortfall, ...] = ()) -> Votes:
        """After an amendment of the content: all votes were for another one."""
        return Votes((), self.people, shortfalls)

    def without_departed(self, departures: Departures) -> Votes:
        """Without the votes of people who have left, or who were asked only as members of groups that they
        have left. Others keep the groups that they are still in."""
        left = [_remaining(vote, departures) for vote in self.live]
        kept = [vote for vote in left if vote is not None]
        if len(kept) == len(self.live) and all(map(operator.is_, kept, self.live)):
            return self
        ended = {vote.user_id for vote in self.live} - {vote.user_id for vote in kept}
        return replace(self, live=tuple(kept), earlier=self.earlier | ended)

    def outside(self, audience: Audience) -> list[Vote]:
        """The votes of people who are not in an audience, as far as their groups are known."""
        return [vote for vote in self.live if not audience.includes(vote.slot, _groups_of_slot(vote))]

    def counts(self, approval: Approval) -> list[Count]:
        """What the votes come to, by outcome in the order of its first vote."""
        found: dict[str, list[Vote]] = {}
        for vote in self.live:
            found.setdefault(vote.outcome, []).append(vote)
        return [_count(outcome, tuple(votes), approval) for outcome, votes in found.items()]


def _groups_of_slot(vote: Vote) -> frozenset[str]:
    """What is known of the groups of the person in whose place a vote was given."""
    return (vote.entry or frozenset()) if vote.delegation else vote.groups


def _remaining(vote: Vote, departures: Departures) -> Vote | None:
    """A vote with the groups that its author is still in; None if it does not count any more, because its
    author or the person in whose place it was given has left."""
    since = vote.answer.created_at
    if any(departures.has_left(person, since) for person in vote.answer.people):
        return None
    groups = departures.still_in(vote.user_id, vote.groups, since)
    entry = departures.still_in(vote.slot, vote.entry, since) if vote.entry is not None else None
    if groups == vote.groups and entry == vote.entry:
        return vote
    if (vote.via and vote.via not in groups) or (entry is not None and not entry):
        return None
    return replace(vote, groups=groups, entry=entry)


def _count(outcome: str, votes: tuple[Vote, ...], approval: Approval) -> Count:
    decision = votes[0].answer.decision
    if decision in AUTHORISING:
        missing = approval.missing({vote.user_id: vote.groups for vote in votes})
        return Count(outcome, decision, votes, approval.required, missing)
    required = approval.reject_at if decision is Decision.REJECT else 1
    return Count(outcome, decision, votes, required, Missing(max(0, required - len(votes)), {}))


_PRECEDENCE = {Decision.REJECT: 0, Decision.REVISE: 1}
"""Others follow, in the order of their first votes."""


def decided(counts: Iterable[Count]) -> Count | None:
    """The outcome for which there are enough votes: REJECT before REVISE before all others. Else None."""
    enough = [count for count in counts if count.missing.nothing]
    return min(enough, key=lambda count: _PRECEDENCE.get(count.decision, 2), default=None)


def outcome_of(answer: Answer) -> str:
    """A digest of what an answer decides. Comments, the order of edits and keys, and the notation of numbers
    make no difference; rejections are alike whatever their comment says."""
    if answer.decision not in AUTHORISING:
        return digest_of([str(answer.decision)])
    edits = sorted([edit.content_id, edit.text] for edit in answer.edits)
    return digest_of([str(answer.decision), edits, _canonical(answer.values_json)])


def _canonical(values_json: str) -> Any:
    """The values with their keys in order. Numbers are exact: 64-bit integers differ, and 1.0 is 1."""
    if not values_json.strip():
        return None
    value = json.loads(values_json, parse_float=_Number, parse_int=_Number)
    return _tagged(value) if value != {} else None


class _Number(str):
    """A number as its text in JSON."""


_PARTS = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?")


def _normal(number: str) -> str:
    """The number in one notation: digits without zeros at either end, and a power of ten."""
    found = _PARTS.fullmatch(number)
    assert found is not None
    sign, whole, fraction, exponent = found.groups(default="")
    digits = (whole + fraction).lstrip("0")
    short = digits.rstrip("0")
    if not short:
        return "0"
    try:
        power = int(exponent or 0) - len(fraction) + len(digits) - len(short)
    except ValueError:  # thousands of digits: compared as it is written
        return number
    return f"{sign}{short}e{power}"


def _tagged(value: Any) -> Any:
    if isinstance(value, dict):
        return ["object", [[key, _tagged(value[key])] for key in sorted(value)]]
    if isinstance(value, list):
        return ["array", [_tagged(item) for item in value]]
    if isinstance(value, _Number):
        return ["number", _normal(value)]
    return ["value", value]
