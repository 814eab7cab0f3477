"""Delegation: to whom people may pass a question on, and who acts in place of whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from askback._model.enums import DelegationCause, DelegationScope, member_of
from askback._model.escalation import address
from askback._model.times import moment
from askback.v1 import prompt_pb2 as pb


@dataclass(frozen=True, slots=True)
class DelegationPolicy:
    """To whom people may delegate a question, and who may be the substitute of a person who is away.

    `delegation=DelegationPolicy("group:leads", "user:bob")`: to these only; in short
    `delegation=DelegationScope.NO_ONE`, or AUDIENCE, without names.
    """

    scope: DelegationScope
    names: tuple[str, ...]
    """With the scope LISTED: `user:NAME` and `group:NAME`."""

    def __init__(self, *names: str, scope: DelegationScope | str | None = None) -> None:
        """`scope` is LISTED with names, and ANYONE without, unless it is given."""
        chosen = scope or (DelegationScope.LISTED if names else DelegationScope.ANYONE)
        object.__setattr__(self, "scope", DelegationScope(chosen))
        object.__setattr__(self, "names", names)

    def to_proto(self) -> pb.DelegationPolicy:
        """The contract's message. Raises ValueError for a malformed name, and for names that the scope does
        not take."""
        if bool(self.names) is not (self.scope is DelegationScope.LISTED):
            raise ValueError(f"delegation= with the scope {self.scope} takes {self._takes}")
        named = pb.Audience()
        address(named, self.names, "delegation=DelegationPolicy()")
        return pb.DelegationPolicy(
            scope=pb.DelegationScope.Value(f"DELEGATION_SCOPE_{self.scope}"),
            users=named.users,
            groups=named.groups,
        )

    @property
    def _takes(self) -> str:
        return "names" if self.scope is DelegationScope.LISTED else "no names"

    @classmethod
    def from_proto(cls, policy: pb.DelegationPolicy) -> DelegationPolicy:
        """The policy that a message describes."""
        names = [f"user:{user}" for user in policy.users] + [f"group:{name}" for name in policy.groups]
        scope = member_of(DelegationScope, pb.DelegationScope, "DELEGATION_SCOPE_", policy.scope)
        return cls(*names, scope=scope)


Delegating = DelegationPolicy | DelegationScope | str | None
"""To whom a question may be delegated; a scope stands for `DelegationPolicy(scope=scope)`."""


def policy_message(delegation: DelegationPolicy | DelegationScope | str) -> pb.DelegationPolicy:
    """The contract's message for what an asker gives. Raises ValueError for an unknown scope, or a wrong
    name."""
    policy = delegation if isinstance(delegation, DelegationPolicy) else DelegationPolicy(scope=delegation)
    return policy.to_proto()


@dataclass(frozen=True, slots=True)
class Delegation:
    """That people may act on a prompt in place of `holder`: the person `user`, or each member of `group`.

    Of all who act for one holder one answer counts, and its `on_behalf_of` names the holder.
    """

    holder: str
    giver: str
    """Who delegated: the holder, or one to whom it was delegated."""
    user: str
    """Empty: the group got it."""
    group: str
    transferred: bool
    """Whether the giver may not answer any more."""
    cause: DelegationCause
    """PERSON: the giver has delegated it. ABSENCE: the giver is away, and `user` is the substitute."""
    comment: str
    at: datetime | None
    until: datetime | None
    """When it ends by itself, with the absence; None: with the prompt."""

    @property
    def to(self) -> str:
        """`user:NAME` or `group:NAME`."""
        return f"user:{self.user}" if self.user else f"group:{self.group}"

    @classmethod
    def from_proto(cls, delegation: pb.Delegation) -> Delegation:
        """The delegation that a message describes."""
        return cls(
            delegation.holder,
            delegation.giver,
            delegation.user,
            delegation.group,
            delegation.transferred,
            member_of(DelegationCause, pb.DelegationCause, "DELEGATION_CAUSE_", delegation.cause),
            delegation.comment,
            moment(delegation, "create_time"),
            moment(delegation, "end_time"),
        )


def find_delegation(prompt: pb.Prompt, user: str, groups: Iterable[str]) -> pb.Delegation | None:
    """The delegation by which a person may answer; None: by its own right, or not at all.

    A right of its own comes first, then a delegation to it by name, then one to a group of it: the order of
    the server.
    """
    given, audience, mine = prompt.delegations, prompt.content.audience, frozenset(groups)
    gone = had_own = False
    for each in given:
        if each.transferred and each.giver == user:
            gone = True
            had_own = had_own or each.holder == user
        elif each.user == user:
            gone = False
    if gone:
        return None
    everyone = not audience.users and not audience.groups
    asked = everyone or user in audience.users or not mine.isdisjoint(audience.groups)
    if asked and not had_own:
        return None
    named = next((each for each in given if each.user == user), None)
    return named or next((each for each in given if each.group and each.group in mine), None)
