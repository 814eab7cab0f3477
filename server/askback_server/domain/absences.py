"""Absences of people: when a person is away, and who stands in for it (docs/how-to/approvals.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from askback_server.domain.delegations import MAX_CHAIN


@dataclass(frozen=True, slots=True)
class Absence:
    """That a person is away from a time until before another one."""

    absence_id: str
    namespace: str
    subject: str
    from_at: datetime
    until_at: datetime
    substitute: str = ""
    """Who stands in. Empty: no one does."""
    comment: str = ""
    set_by: str = ""
    """The person itself, or an admin."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    """Set by the store."""

    def holds(self, at: datetime) -> bool:
        """Whether the person is away at a time."""
        return self.from_at <= at < self.until_at

    def overlaps(self, other: Absence) -> bool:
        """Whether there is a time at which both hold."""
        return self.from_at < other.until_at and other.from_at < self.until_at


@dataclass(frozen=True, slots=True)
class Absences:
    """The absences that are not over, of all namespaces."""

    by_person: Mapping[tuple[str, str], Sequence[Absence]] = field(default_factory=dict)
    """By namespace and subject."""

    @classmethod
    def of(cls, absences: Iterable[Absence]) -> Absences:
        """From a list in any order. Where absences of a person overlap every replica takes the same one."""
        found: dict[tuple[str, str], list[Absence]] = {}
        for each in sorted(absences, key=lambda each: (each.from_at, each.absence_id)):
            found.setdefault((each.namespace, each.subject), []).append(each)
        return cls(found)

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.by_person)

    def find(self, namespace: str, subject: str, at: datetime) -> Absence | None:
        """The absence of a person at a time; None if it is not away."""
        mine = self.by_person.get((namespace, subject), ())
        return next((each for each in mine if each.holds(at)), None)


NO_ABSENCES = Absences()


def no_absences() -> Absences:
    """The absences of a service that stores none."""
    return NO_ABSENCES


def cycle_of(absence: Absence, others: Iterable[Absence]) -> list[str]:
    """The people in a circle of substitutes that an absence would close; empty if it closes none.

    Absences of different people form a circle only if they hold at the same time.
    """
    by_subject: dict[str, list[Absence]] = {}
    for each in others:
        by_subject.setdefault(each.subject, []).append(each)
    paths = [[absence]]
    while paths:
        path = paths.pop()
        substitute = path[-1].substitute
        if substitute == absence.subject:
            return [each.subject for each in path]
        if len(path) <= MAX_LINKS:
            away = [each for each in by_subject.get(substitute, ()) if each.substitute]
            paths += [[*path, each] for each in away if all(each.overlaps(one) for one in path)]
    return []


MAX_LINKS = 2 * MAX_CHAIN
"""Links of a chain of substitutes in which a circle is looked for. Rules stop after MAX_CHAIN."""
