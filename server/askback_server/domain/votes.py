"""The votes of a prompt: which count, and what they decide."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from askback_server.domain.answers import Answer
from askback_server.domain.approvals import Approval, Missing
from askback_server.domain.decisions import AUTHORISING, Decision
from askback_server.domain.digests import digest_of
from askback_server.domain.electorate import NO_DEPARTURES, Departures


@dataclass(frozen=True, slots=True)
class Vote:
    """The valid answer of a person to a prompt with an approval."""

    answer: Answer
    outcome: str
    """A digest of what it decides: equal for votes that count together (`outcome_of`)."""
    groups: frozenset[str]
    """The groups of the person when it voted, as far as the approval or the audience names them."""
    by_group: bool
    """Whether the person was in the audience by its groups only."""

    @property
    def user_id(self) -> str:
        """The person."""
        return self.answer.user_id


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

    def of(self, user_id: str) -> Vote | None:
        """The live vote of a person."""
        return next((vote for vote in self.live if vote.user_id == user_id), None)

    def cast(self, vote: Vote) -> Votes:
        """With this vote in place of the person's earlier one."""
        others = tuple(v for v in self.live if v.user_id != vote.user_id)
        return replace(self, live=(*others, vote), earlier=self.earlier - {vote.user_id})

    def end(self, people: Iterable[str]) -> Votes:
        """Without the live votes of these people."""
        ended = {vote.user_id for vote in self.live} & set(people)
        left = tuple(vote for vote in self.live if vote.user_id not in ended)
        return replace(self, live=left, earlier=self.earlier | ended)

    def end_all(self, shortfalls: tuple[Shortfall, ...]) -> Votes:
        """After an amendment of the content: all votes were for another one."""
        return Votes((), self.people, shortfalls)

    def counts(self, approval: Approval, departures: Departures = NO_DEPARTURES) -> list[Count]:
        """The votes that count, by outcome in the order of its first vote.

        Members of a group that have left it since, by the directory, fill no place of it; a person who was
        asked only as a member of groups that it has left does not count.
        """
        found: dict[str, dict[str, tuple[Vote, frozenset[str]]]] = {}
        for vote in self.live:
            groups = departures.left_of(vote.user_id, vote.groups, vote.answer.created_at)
            if groups is not None and not (vote.by_group and not groups):
                found.setdefault(vote.outcome, {})[vote.user_id] = vote, groups
        return list(_counts(found, approval))

    def lapsed(self, departures: Departures) -> list[str]:
        """The people whose vote lost its group or counts no longer, because they left it."""
        return [
            vote.user_id
            for vote in self.live
            if departures.left_of(vote.user_id, vote.groups, vote.answer.created_at) != vote.groups
        ]


def _counts(
    found: Mapping[str, Mapping[str, tuple[Vote, frozenset[str]]]], approval: Approval
) -> Iterator[Count]:
    for outcome, voters in found.items():
        votes = tuple(vote for vote, _ in voters.values())
        decision = votes[0].answer.decision
        if decision in AUTHORISING:
            missing = approval.missing({user: groups for user, (_, groups) in voters.items()})
        else:
            needed = approval.reject_at if decision is Decision.REJECT else 1
            missing = Missing(max(0, needed - len(votes)), {})
        yield Count(outcome, decision, votes, missing)


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
    if values_json.strip() in ("", "{}"):
        return None
    return _tagged(json.loads(values_json, parse_float=_number, parse_int=_number))


def _number(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent that no decimal has
        return text


def _tagged(value: Any) -> Any:
    if isinstance(value, dict):
        return ["object", [[key, _tagged(value[key])] for key in sorted(value)]]
    if isinstance(value, list):
        return ["array", [_tagged(item) for item in value]]
    if isinstance(value, Decimal):
        sign, digits, exponent = value.as_tuple()
        text = "".join(map(str, digits)).lstrip("0")
        short = text.rstrip("0")
        power = int(exponent) + len(text) - len(short) if short else 0
        return ["number", f"{'-' if sign and short else ''}{short or '0'}e{power}"]
    return ["value", value]
