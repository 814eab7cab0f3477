"""What the directory of people says of those who may approve a prompt (docs/how-to/approvals.md).

The directory gives no right: people vote by what their credentials say. It only tells who is missing when a
prompt is asked, and whose membership has ended since the vote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from askback_server.domain.approvals import Approval
from askback_server.domain.content import Audience, PromptContent

MAX_MEMBERS = 1_000
"""Members of a group that are read. A group with more counts as large enough for every approval."""


@dataclass(frozen=True, slots=True)
class GroupMembers:
    """The active members of a group."""

    people: frozenset[str] = frozenset()
    complete: bool = False
    """Whether all of its members are known."""


@dataclass(frozen=True, slots=True)
class Departures:
    """Which of the people who have voted have left since. Times are when they left."""

    groups: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    """By person and group, of memberships that have ended and not begun again."""
    people: Mapping[str, datetime] = field(default_factory=dict)
    """Of people who are inactive or deleted."""

    def left_of(self, person: str, groups: frozenset[str], since: datetime) -> frozenset[str] | None:
        """Those of a person's groups at a time that it has not left; None if the person itself has left."""
        if person in self.people and self.people[person] > since:
            return None
        if not self.groups:
            return groups
        return frozenset(
            group for group in groups if (at := self.groups.get((person, group))) is None or at <= since
        )


NO_DEPARTURES = Departures()


@dataclass(frozen=True, slots=True)
class Electorate:
    """What was read of the directory for the commands of one write."""

    members: Mapping[tuple[str, str], GroupMembers] = field(default_factory=dict)
    """By namespace and group, of the groups of prompts that are asked."""
    departures: Mapping[str, Departures] = field(default_factory=dict)
    """By namespace, of the people who have voted on prompts that are answered."""


UNKNOWN = Electorate()
"""Without a directory nothing is known to be missing."""


@dataclass(frozen=True, slots=True)
class ElectorateQuery:
    """What to read of the directory, in one namespace."""

    namespace: str
    asked: frozenset[str] = frozenset()
    """Groups whose members are wanted."""
    voters: frozenset[str] = frozenset()
    """People of whom is wanted what has ended, with the `voted` groups."""
    voted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Shortage:
    """An approval needs more people than the directory knows: of a group, or with an empty `group` in all."""

    group: str
    required: int
    known: int
    certain: bool
    """Whether no further people can exist: the groups that matter are complete."""


def groups_to_read(content: PromptContent) -> frozenset[str]:
    """The groups that matter for whether a prompt's approval can be reached."""
    if content.approval is None:
        return frozenset()
    audience = _asked(content)
    excluded = content.exclusion.groups if content.exclusion is not None else frozenset()
    return content.approval.groups | (audience.groups if audience is not None else frozenset()) | excluded


def shortages(namespace: str, content: PromptContent, electorate: Electorate) -> list[Shortage]:
    """What the approval of a content needs and the directory does not know."""
    approval = content.approval
    if approval is None or (not electorate.members and groups_to_read(content)):
        return []
    known = _Known(namespace, content, electorate)
    found: list[Shortage] = []
    for place in approval.per_group:
        people, certain = known.of_group(place.group)
        if len(people) < place.required:
            found.append(Shortage(place.group, place.required, len(people), certain))
    if not found and (shortage := _in_all(approval, known)) is not None:
        found.append(shortage)
    return found


def _in_all(approval: Approval, known: _Known) -> Shortage | None:
    everyone, certain = known.audience()
    people = {person: frozenset[str]() for person in everyone} if everyone is not None else {}
    for group in sorted(approval.groups):
        members, is_certain = known.of_group(group)
        certain = certain and is_certain
        for person in members:
            people[person] = people.get(person, frozenset()) | {group}
    if everyone is None and approval.has_free_places:
        return None  # people of none of the groups may fill the other places
    missing = approval.missing(people)
    if missing.nothing:
        return None
    short = max(missing.total, sum(missing.by_group.values()))
    return Shortage("", approval.required, max(0, approval.required - short), certain)


class _Known:
    """Who is known to be allowed to vote on a content."""

    def __init__(self, namespace: str, content: PromptContent, electorate: Electorate) -> None:
        self._namespace = namespace
        self._members = electorate.members
        self._audience = _asked(content)
        exclusion = content.exclusion
        self._excluded = exclusion.users if exclusion is not None else frozenset[str]()
        for group in exclusion.groups if exclusion is not None else ():
            self._excluded |= self._of(group).people

    def _of(self, group: str) -> GroupMembers:
        return self._members.get((self._namespace, group), GroupMembers())

    def audience(self) -> tuple[frozenset[str] | None, bool]:
        """The people who are asked, without those excluded, and whether they are all. None: everyone."""
        audience = self._audience
        if audience is None:
            return None, True
        groups = [self._of(group) for group in audience.groups]
        people = audience.users.union(*(group.people for group in groups)) - self._excluded
        return people, all(group.complete for group in groups)

    def of_group(self, group: str) -> tuple[frozenset[str], bool]:
        """The members of a group who are asked, and whether they are all."""
        members = self._of(group)
        people = members.people - self._excluded
        audience = self._audience
        if audience is None or group in audience.groups:
            return people, members.complete
        asked, complete = self.audience()
        assert asked is not None
        if complete:
            people &= asked
        return people, members.complete


def _asked(content: PromptContent) -> Audience | None:
    """The audience with all steps of the escalation; None: everyone in the namespace."""
    asked = content.audience
    for step in content.escalation:
        if step.replace and not (step.to.users or step.to.groups):
            return None
        asked = Audience(asked.users | step.to.users, asked.groups | step.to.groups)
    open_at_first = not (content.audience.users or content.audience.groups)
    return None if open_at_first else asked
