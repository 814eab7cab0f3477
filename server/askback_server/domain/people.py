"""The directory of people: what the service knows of each person, and who was in which group when.

It gives no right: rights come from the credentials of a call alone (`domain/principals.py`). A person is one
row of a namespace. A membership is a fact with a beginning and an end; it is ended, never deleted, so that
the members of a group at an earlier time stay known.

Every change is a pure function of the stored person (None: not known) and the time. It returns the person as
it should be, or the stored one unchanged; `storage/people.py` writes the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from askback_server.domain.errors import NotFound
from askback_server.domain.principals import Principal, Role

ANONYMOUS = "anonymous"
"""The subject of all callers without a name: not a person."""
SEEN_INTERVAL = timedelta(minutes=5)
"""Minimum time between two changes of `last_seen`."""


class Source(StrEnum):
    """Who says that a person is in a group."""

    CREDENTIALS = "CREDENTIALS"
    """The person's credentials."""
    ADMIN = "ADMIN"
    """An admin, by SetPerson."""


@dataclass(frozen=True, slots=True)
class Membership:
    """That a person was in a group from a time until before another one."""

    group: str
    source: Source
    from_at: datetime
    until_at: datetime | None = None
    """None: it has not ended."""
    set_by: str = ""
    """The admin that set it; empty with the source CREDENTIALS."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person in a namespace. Texts are empty where they are not known."""

    namespace: str
    subject: str
    created_at: datetime
    updated_at: datetime
    display_name: str = ""
    email: str = ""
    time_zone: str = ""
    language: str = ""
    last_seen: datetime | None = None
    active: bool = True
    has_credentials: bool = False
    """Whether credentials name the person, by the token file or by a call."""
    deleted_at: datetime | None = None
    """A deleted person is not listed."""
    memberships: tuple[Membership, ...] = ()
    """The current ones; in a list for an earlier time those of that time. Sorted by group and source."""

    @property
    def key(self) -> PersonKey:
        """The name of the row."""
        return self.namespace, self.subject

    @property
    def is_gone(self) -> bool:
        """Whether the person is inactive or deleted."""
        return not self.active or self.deleted_at is not None


PersonKey = tuple[str, str]
"""Namespace and subject."""
Decision = Callable[[Person | None, datetime], Person | None]
"""(the stored person, the database's time): the person as it should be. None: no row."""


@dataclass(frozen=True, slots=True)
class PersonSetting:
    """What an admin says of a person. None leaves a field as it is."""

    namespace: str
    subject: str
    display_name: str | None = None
    email: str | None = None
    time_zone: str | None = None
    language: str | None = None
    active: bool | None = None
    groups: frozenset[str] | None = None
    """All memberships with the source ADMIN."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """That a person has used a namespace."""

    namespace: str
    subject: str
    groups: frozenset[str]
    """The groups that the credentials of the call name."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """A group of a namespace."""

    name: str
    complete: bool = False
    """Whether the directory knows all its members."""
    members: int = 0
    """Active people that are in the group now."""


class PersonNotFound(NotFound):
    """There is no such person in the directory of the namespace."""

    reason = "PERSON_NOT_FOUND"

    def __init__(self, subject: str) -> None:
        super().__init__(f"there is no person {subject!r} in this namespace", subject=subject)


@dataclass(frozen=True, slots=True)
class Roster:
    """The people that a token file names: all entries that are valid now, so a complete statement."""

    entries: tuple[Principal, ...] = ()

    @classmethod
    def of(cls, principals: Iterable[Principal]) -> Roster:
        """The entries that are people."""
        return cls(tuple(each for each in principals if is_person(each)))

    def keys(self) -> set[PersonKey]:
        """Each person in each namespace that its entries name. What `*` stands for shows when it is used."""
        return {(name, each.subject) for each in self.entries for name in each.namespaces if name != "*"}

    def groups_of(self, key: PersonKey) -> frozenset[str] | None:
        """The groups of a person in a namespace, of all its entries there. None: no entry is left."""
        namespace, subject = key
        mine = [each for each in self.entries if each.subject == subject and each.may_use(namespace)]
        return frozenset().union(*(each.groups for each in mine)) if mine else None


def is_person(principal: Principal) -> bool:
    """Whether a caller is listed in the directory: it may answer prompts, and has a name."""
    return principal.has(Role.CONSOLE) and principal.subject != ANONYMOUS


def is_member(memberships: Iterable[Membership], group: str, at: datetime) -> bool:
    """Whether one of a person's memberships is of this group and holds at a time."""
    return any(
        each.group == group and each.from_at <= at and (each.until_at is None or at < each.until_at)
        for each in memberships
    )


def set_person(setting: PersonSetting, by: str) -> Decision:
    """What an admin says is stored. A deleted person is listed again."""

    def decide(stored: Person | None, now: datetime) -> Person:
        person = stored or Person(setting.namespace, setting.subject, created_at=now, updated_at=now)
        if person.deleted_at is not None:
            person = replace(person, deleted_at=None, active=True)
        given = {
            name: value
            for name in ("display_name", "email", "time_zone", "language", "active")
            if (value := getattr(setting, name)) is not None
        }
        person = replace(person, **given)
        if setting.groups is not None:
            person = _with_groups(person, Source.ADMIN, setting.groups, now, by)
        return _touch(stored, person, now)

    return decide


def delete_person(stored: Person | None, now: datetime) -> Person | None:
    """Erase what is known of a person, and end what admins have said. Facts of credentials stay true."""
    if stored is None or stored.deleted_at is not None:
        return stored
    erased = replace(
        stored,
        display_name="",
        email="",
        time_zone="",
        language="",
        last_seen=None,
        active=False,
        deleted_at=now,
    )
    return _touch(stored, _with_groups(erased, Source.ADMIN, (), now), now)


def note_sighting(sighting: Sighting, groups: frozenset[str]) -> Decision:
    """A person that uses the namespace is listed, also after it was deleted, with the groups of its
    credentials. A sighting from before the deletion changes nothing."""

    def decide(stored: Person | None, now: datetime) -> Person:
        if stored is not None and stored.deleted_at is not None and sighting.at <= stored.deleted_at:
            return stored
        person = _with_credentials(stored, (sighting.namespace, sighting.subject), groups, now)
        if person.deleted_at is not None:
            person = replace(person, deleted_at=None, active=True, updated_at=now)
        if person.last_seen is None or sighting.at - person.last_seen >= SEEN_INTERVAL:
            person = replace(person, last_seen=sighting.at)
        return person

    return decide


def follow_roster(key: PersonKey, groups: frozenset[str] | None) -> Decision:
    """A token file says everything about credentials: a person without an entry (None) is not active any
    more. One that only admins have added is not touched. What an admin has set as inactive stays so while the
    entry stays."""

    def decide(stored: Person | None, now: datetime) -> Person | None:
        if groups is not None:
            return _with_credentials(stored, key, groups, now)
        if stored is None or not stored.has_credentials:
            return stored
        gone = replace(stored, has_credentials=False, active=False)
        return _touch(stored, _with_groups(gone, Source.CREDENTIALS, (), now), now)

    return decide


def _with_credentials(stored: Person | None, key: PersonKey, groups: frozenset[str], now: datetime) -> Person:
    """A person that credentials name. New credentials make it active."""
    person = stored or Person(*key, created_at=now, updated_at=now)
    if not person.has_credentials:
        person = replace(person, has_credentials=True, active=True, deleted_at=None)
    return _touch(stored, _with_groups(person, Source.CREDENTIALS, groups, now), now)


def _with_groups(
    person: Person, source: Source, groups: Iterable[str], now: datetime, by: str = ""
) -> Person:
    """The person with exactly these groups of a source. Memberships that stay keep their beginning."""
    wanted = set(groups)
    kept = [each for each in person.memberships if each.source is not source or each.group in wanted]
    known = {each.group for each in kept if each.source is source}
    added = [Membership(group, source, now, None, by) for group in wanted - known]
    if not added and len(kept) == len(person.memberships):
        return person
    return replace(person, memberships=tuple(sorted([*kept, *added], key=lambda m: (m.group, m.source))))


def _touch(stored: Person | None, person: Person, now: datetime) -> Person:
    """The person with the time of the change; the stored one if nothing has changed."""
    return stored if person == stored and stored is not None else replace(person, updated_at=now)


@dataclass(frozen=True, slots=True)
class PeopleFilter:
    """Conditions on people. Deleted people match only for a time before their deletion."""

    namespace: str
    group: str = ""
    """Only people in this group, at `at`."""
    at: datetime | None = None
    """When the memberships hold. None: now."""
    starts: str = ""
    """The beginning of the subject, or of a word of the name, in any case."""
    include_inactive: bool = False


def search_text(subject: str, display_name: str) -> str:
    """What a search looks in: the subject, the name and each of its words, each after a line break and
    without case."""
    words = (subject, display_name, *display_name.split()[1:])
    return "".join(f"\n{word.casefold()}" for word in words if word)
