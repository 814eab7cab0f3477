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
"""Members of a group that are read. Of a group with more nothing is certain."""


@dataclass(frozen=True, slots=True)
class GroupMembers:
    """The active members of a group."""

    people: frozenset[str] = frozenset()
    complete: bool = False
    """Whether all of its members are known."""
    more: bool = False
    """Whether it has members that were not read."""


@dataclass(frozen=True, slots=True)
class Departures:
    """Which of the people who have voted have left since. Times are when they left."""

    groups: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    """By person and group, of memberships that have ended and not begun again."""
    deleted: Mapping[str, datetime] = field(default_factory=dict)
    """Of people who are deleted."""
    inactive: frozenset[str] = frozenset()
    """People who cannot be asked, since whenever."""

    def has_left(self, person: str, since: datetime) -> bool:
        """Whether a person who voted at a time cannot be asked any more."""
        return person in self.inactive or (person in self.deleted and self.deleted[person] > since)

    def still_in(self, person: str, groups: frozenset[str], since: datetime) -> frozenset[str]:
        """Those of a person's groups at a time that it has not left."""
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
    people: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    """By namespace: the active ones of the people who were asked for, with their groups."""

    def has_member(self, namespace: str, group: str, other_than: str) -> bool:
        """Whether a group is known to have an active member other than a person."""
        members = self.members.get((namespace, group), GroupMembers())
        return members.more or bool(members.people - {other_than})


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
    people: frozenset[str] = frozenset()
    """People of whom is wanted whether they are active, and in which groups."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """An approval needs more people than the directory knows: of a group, or with an empty `group` in all."""

    group: str
    required: int
    known: int
    certain: bool
    """Whether no further people can exist: the groups that matter are complete."""


def groups_to_read(content: PromptContent) -> frozenset[str]:
    """The groups that matter for whether enough people may decide a prompt."""
    excluded = content.exclusion.groups if content.exclusion is not None else frozenset[str]()
    approval = content.approval.groups if content.approval is not None else frozenset[str]()
    if content.approval is None and content.exclusion is None:
        return frozenset()
    audience = _asked(content)
    return approval | excluded | (audience.groups if audience is not None else frozenset())


_ONE = Approval(1)


def shortages(namespace: str, content: PromptContent, electorate: Electorate) -> list[Shortage]:
    """What a content needs and the directory does not know. Without a directory only what is certain."""
    approval = content.approval or _ONE
    known = _Known(namespace, content, electorate)
    found: list[Shortage] = []
    for place in approval.per_group:
        people, certain = known.of_group(place.group)
        if len(people) < place.required:
            found.append(Shortage(place.group, place.required, len(people), certain))
    if not found and (shortage := _in_all(approval, known)) is not None:
        found.append(shortage)
    is_asked = content.approval is not None and electorate is not UNKNOWN
    return [each for each in found if each.certain or is_asked]


def _in_all(approval: Approval, known: _Known) -> Shortage | None:
    everyone, certain = known.audience()
    if everyone is None and approval.has_free_places:
        return None  # people of none of the groups may fill the other places
    people = {person: frozenset[str]() for person in everyone or ()}
    for group in sorted(approval.groups):
        members, is_certain = known.of_group(group)
        certain = certain and is_certain
        for person in members:
            people[person] = people.get(person, frozenset()) | {group}
    missing = approval.missing(people)
    if missing.nothing:
        return None
    short = max(missing.total, sum(missing.by_group.values()))
    return Shortage("", approval.required, max(0, approval.required - short), certain)


class _Known:
    """Who is known to be allowed to decide a content."""

    def __init__(self, namespace: str, content: PromptContent, electorate: Electorate) -> None:
        self._namespace = namespace
        self._members = electorate.members
        self._audience = _asked(content)
        exclusion = content.exclusion
        self._no_groups = exclusion.groups if exclusion is not None else frozenset[str]()
        self._excluded = exclusion.users if exclusion is not None else frozenset[str]()
        for group in self._no_groups:
            self._excluded |= self._of(group).people

    def _of(self, group: str) -> GroupMembers:
        return self._members.get((self._namespace, group), GroupMembers())

    def audience(self) -> tuple[frozenset[str] | None, bool]:
        """The people who are asked, without those excluded, and whether they are all. None: everyone."""
        audience = self._audience
        if audience is None:
            return None, True
        groups = [self._of(group) for group in audience.groups - self._no_groups]
        people = audience.users.union(*(group.people for group in groups)) - self._excluded
        return people, all(group.complete and not group.more for group in groups)

    def of_group(self, group: str) -> tuple[frozenset[str], bool]:
        """The members of a group who are asked, and whether they are all."""
        if group in self._no_groups:
            return frozenset(), True
        members = self._of(group)
        certain = members.complete and not members.more
        people = members.people - self._excluded
        audience = self._audience
        if audience is None or group in audience.groups:
            return people, certain
        asked, complete = self.audience()
        assert asked is not None
        if complete and members.more:
            return asked, False  # any of them may be one of the members that were not read
        return (people & asked if complete else people), certain


def _asked(content: PromptContent) -> Audience | None:
    """The audience with all steps of the escalation; None: everyone in the namespace."""
    asked = content.audience
    for step in content.escalation:
        if step.replace and not (step.to.users or step.to.groups):
            return None
        asked = Audience(asked.users | step.to.users, asked.groups | step.to.groups)
    open_at_first = not (content.audience.users or content.audience.groups)
    return None if open_at_first else asked
