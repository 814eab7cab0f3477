"""Approval by several people: how many must decide alike, and their votes so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from askback._model import brief
from askback._model.enums import DecisionKind, member_of
from askback._model.resolutions import values_of_text
from askback._model.times import moment
from askback.v1 import prompt_pb2 as pb


@dataclass(frozen=True, slots=True)
class Approval:
    """How many people must approve a question together. Each answer is a vote.

    `approval=Approval(2, per_group={"release": 1})`: two people, one of them of the group `release`; in short
    `approval=2` without groups. Votes count together if they decide the same, edits and values included.
    """

    required: int = 0
    """People who accept, in all, from 1. Left out: as many as the groups need."""
    per_group: Mapping[str, int] = field(default_factory=dict)
    """How many of them must be members, by group."""
    reject_at: int = 0
    """People who reject, until it is rejected. 0: one."""
    shared: bool = False
    """Whether a member of several groups counts in each of them; otherwise for one group."""
    rules_may_fill: int = 0
    """How many of these people rules may answer for, each in the name of its author. 0: none."""

    def to_proto(self) -> pb.Approval:
        """The contract's message. Raises ValueError for fewer than one person.

        Without groups `required` must be given: the length of a list that happens to be empty is not
        one person.
        """
        if self.required < 0 or not (self.required or self.per_group):
            raise ValueError(f"an approval needs at least 1 person, or per_group=; not {self.required}")
        if self.reject_at < 0:
            raise ValueError(f"reject_at= must be at least 1, not {self.reject_at}")
        if self.rules_may_fill < 0:
            raise ValueError(f"rules_may_fill= must be at least 0, not {self.rules_may_fill}")
        groups = [pb.GroupApproval(group=name, required=n) for name, n in self.per_group.items()]
        return pb.Approval(
            required=self.required,
            per_group=groups,
            reject_at=self.reject_at,
            shared=self.shared,
            rules_may_fill=self.rules_may_fill,
        )

    @classmethod
    def from_proto(cls, approval: pb.Approval) -> Approval:
        """The approval that a message describes."""
        groups = {each.group: each.required for each in approval.per_group}
        return cls(approval.required, groups, approval.reject_at, approval.shared, approval.rules_may_fill)


Approving = Approval | int | None
"""How many people must approve; a number stands for `Approval(number)`."""


def approval_message(approval: Approval | int) -> pb.Approval:
    """The contract's message for what an asker gives. Raises ValueError for fewer than one person."""
    return (approval if isinstance(approval, Approval) else Approval(approval)).to_proto()


@dataclass(frozen=True, slots=True, repr=False)
class Vote:
    """The answer of a person to a question with an approval.

    Votes with the same `outcome` count together. `values` and `edits` of an EDIT are a proposal, for which
    other people can vote by an EDIT with the same ones.
    """

    answer_id: str
    by: str
    decision: DecisionKind
    outcome: str
    values: Any
    edits: dict[str, str]
    comment: str
    at: datetime | None
    groups: tuple[str, ...]
    """The person's groups at that time, as far as the approval names them."""
    values_json: str = ""
    on_behalf_of: str = ""
    """The person in whose place `by` voted, by a delegation; empty: by a right of its own."""
    rule_id: str = ""
    """The rule that voted in the name of `by`; empty: the person did."""
    rule_revision: int = 0
    """The revision of that rule."""
    __repr__ = brief.repr_of_vote


@dataclass(frozen=True, slots=True)
class VoteCount:
    """The votes for one outcome: how many there are, how many are needed, and of which groups some are
    missing."""

    outcome: str
    decision: DecisionKind
    votes: int
    required: int
    missing: dict[str, int]
    more: int
    """The smallest number of further votes that could complete it."""

    @classmethod
    def from_proto(cls, count: pb.VoteCount, *, shared: bool) -> VoteCount:
        """The count that a message describes; `shared` is that of the approval."""
        missing = {each.group: each.required for each in count.missing}
        places = max(missing.values(), default=0) if shared else sum(missing.values())
        return cls(
            count.outcome,
            member_of(DecisionKind, pb.Decision, "DECISION_", count.decision),
            count.votes,
            count.required,
            missing,
            max(count.required - count.votes, places),
        )


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Fewer people than an approval needs are known: of a group, or with an empty `group` in all."""

    group: str
    required: int
    known: int

    @classmethod
    def from_proto(cls, shortfall: pb.ApprovalShortfall) -> Shortfall:
        """The shortfall that a message describes."""
        return cls(shortfall.group, shortfall.required, shortfall.known)


def votes_of(votes: Iterable[pb.Vote]) -> tuple[Vote, ...]:
    """The votes that messages describe. Only the first message of an outcome has its values and edits; here
    each vote has them."""
    first: dict[str, pb.Vote] = {}
    found = []
    for vote in votes:
        proposal = first.setdefault(vote.outcome, vote)
        found.append(
            Vote(
                vote.answer_id,
                vote.user_id,
                member_of(DecisionKind, pb.Decision, "DECISION_", vote.decision),
                vote.outcome,
                values_of_text(proposal.values_json),
                {edit.content_id: edit.text for edit in proposal.edits},
                vote.comment,
                moment(vote, "create_time"),
                tuple(vote.groups),
                proposal.values_json,
                vote.on_behalf_of,
                vote.rule_id,
                vote.rule_revision,
            )
        )
    return tuple(found)
