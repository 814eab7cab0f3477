"""Delegations of a prompt: which people may act in place of which others (docs/how-to/approvals.md).

A person has a right to act on a prompt by its audience. A delegation gives this right to another person or to
a group: it moves (TRANSFER), or the giver keeps it too (ADD). The right stays that of its holder, the person
who had it by the audience, through all delegations of a chain: of all who act for one holder one answer
counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

MAX_CHAIN = 3
"""Delegations, one after the other, of one right."""
MAX_DELEGATIONS = 50
"""Active delegations of one prompt."""


class DelegationMode(StrEnum):
    """Whether the giver keeps its right."""

    TRANSFER = "TRANSFER"
    ADD = "ADD"


class DelegationCause(StrEnum):
    """Why a right was delegated."""

    PERSON = "PERSON"
    """The giver has delegated it."""
    ABSENCE = "ABSENCE"
    """The giver is away and has a substitute."""


class DelegationScope(StrEnum):
    """To whom people may delegate a prompt."""

    ANYONE = "ANYONE"
    AUDIENCE = "AUDIENCE"
    LISTED = "LISTED"
    NO_ONE = "NO_ONE"


@dataclass(frozen=True, slots=True)
class DelegationPolicy:
    """To whom people may delegate a prompt, and who may be a substitute."""

    scope: DelegationScope = DelegationScope.ANYONE
    users: frozenset[str] = frozenset()
    """With LISTED: these people."""
    groups: frozenset[str] = frozenset()
    """With LISTED: these groups, as a whole."""


@dataclass(frozen=True, slots=True)
class Delegation:
    """One active delegation. `user` or `group` is empty."""

    number: int
    """Unique in its prompt, in the order in which they were made."""
    holder: str
    """The person whose right it is."""
    giver: str
    """The person who delegated it: the holder, or one to whom it was delegated."""
    user: str
    group: str
    mode: DelegationMode
    cause: DelegationCause
    at: datetime
    comment: str = ""
    until: datetime | None = None
    """When it ends by itself: with the absence. None: with the prompt."""
    parent: int = 0
    """The number of the delegation by which the giver had the right; 0: by the audience."""
    entry: frozenset[str] | None = None
    """The groups by which the holder was in the audience. None: by name, or because everyone is asked."""


@dataclass(frozen=True, slots=True)
class Right:
    """That a person may act on a prompt."""

    holder: str
    """In whose place; the person itself with a right of its own."""
    entry: frozenset[str] | None
    """The groups by which the holder is in the audience. None: by name, or because everyone is asked."""
    delegation: Delegation | None = None
    """None: it is a right of its own."""

    @property
    def on_behalf_of(self) -> str:
        """The other person in whose place it lets act; empty for a right of its own."""
        return self.holder if self.delegation is not None else ""

    @property
    def until(self) -> datetime | None:
        """When the right of a substitute ends; None: it is no substitute's."""
        return self.delegation.until if self.delegation is not None else None


@dataclass(frozen=True, slots=True)
class Delegations:
    """The active delegations of a prompt, oldest first."""

    active: tuple[Delegation, ...] = ()
    last: int = 0
    """The highest number that was given."""
    skipped: tuple[tuple[str, str], ...] = ()
    """People who are away and their substitutes, of those who may not stand in here."""

    @property
    def gone(self) -> frozenset[str]:
        """People who gave their right away and got none since by their name."""
        gone: set[str] = set()
        for each in self.active:
            if each.mode is DelegationMode.TRANSFER:
                gone.add(each.giver)
            gone.discard(each.user)
        return frozenset(gone)

    @property
    def users(self) -> frozenset[str]:
        """The people to whom a right was delegated by name."""
        return frozenset(each.user for each in self.active if each.user)

    @property
    def groups(self) -> frozenset[str]:
        """The groups to which a right was delegated."""
        return frozenset(each.group for each in self.active if each.group)

    @property
    def next_end(self) -> datetime | None:
        """When the next one ends by itself; None: none does."""
        return min((each.until for each in self.active if each.until is not None), default=None)

    def has_given(self, subject: str) -> bool:
        """Whether a person gave away the right that it had by the audience."""
        return any(
            each.giver == subject and each.mode is DelegationMode.TRANSFER and not each.parent
            for each in self.active
        )

    def received(self, subject: str, groups: frozenset[str]) -> list[Delegation]:
        """The delegations to a person with these groups, by name before by group. The first one is that by
        which it may act, if it has no right of its own."""
        named = [each for each in self.active if each.user == subject]
        return named + [each for each in self.active if each.group in groups]

    def find(self, user: str, group: str, giver: str = "") -> Delegation | None:
        """The delegation to a person or group, made by `giver` if that is not empty; one that a person made
        before one by an absence."""
        found = [
            each
            for each in self.active
            if (each.user, each.group) == (user, group) and giver in ("", each.giver)
        ]
        return min(found, key=lambda each: each.cause is DelegationCause.ABSENCE, default=None)

    def chain(self, number: int) -> list[Delegation]:
        """A delegation with those before it in its chain, the newest first."""
        by_number = {each.number: each for each in self.active}
        found: list[Delegation] = []
        while (each := by_number.get(number)) is not None:
            found.append(each)
            number = each.parent
        return found

    def end_of(self, right: Right) -> datetime | None:
        """When a right ends by itself: with the first absence that it follows from. None: with the prompt."""
        by = self.chain(right.delegation.number) if right.delegation is not None else []
        return min((each.until for each in by if each.until is not None), default=None)

    def add(self, delegation: Delegation) -> Delegations:
        """With one more; it is given the next number."""
        number = self.last + 1
        return replace(self, active=(*self.active, replace(delegation, number=number)), last=number)

    def put(self, delegation: Delegation) -> Delegations:
        """With another image of an active one."""
        return replace(
            self, active=tuple(delegation if d.number == delegation.number else d for d in self.active)
        )

    def end(self, numbers: Iterable[int]) -> Delegations:
        """Without these, and without those that follow from them."""
        ended = set(numbers)
        for each in self.active:  # a parent stands before what follows from it
            if each.parent in ended:
                ended.add(each.number)
        return replace(self, active=tuple(each for each in self.active if each.number not in ended))

    def ended(self, after: Delegations) -> list[Delegation]:
        """Those that `after` does not have any more."""
        left = {each.number for each in after.active}
        return [each for each in self.active if each.number not in left]

    def of_people(self, names: frozenset[str]) -> list[int]:
        """The numbers of those that are of a right of these people, made by them, or made to them."""
        return [
            each.number
            for each in self.active
            if each.holder in names or each.giver in names or each.user in names
        ]
