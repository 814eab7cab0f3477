"""The directory of people: who exists, who was seen, and who is in which group.

Calls only note in memory who has used a namespace. Every `INTERVAL_SECONDS` what is new is written, so a call
costs no statement. While the database is away the notes are kept, up to `MAX_NOTES`.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from askback_server.domain.checks import Checker
from askback_server.domain.limits import Limits
from askback_server.domain.people import (
    SEEN_INTERVAL,
    Decision,
    Group,
    PeopleFilter,
    Person,
    PersonKey,
    PersonNotFound,
    PersonSetting,
    Roster,
    Sighting,
    delete_person,
    follow_roster,
    is_person,
    note_sighting,
    set_person,
)
from askback_server.domain.people_checks import check_group_name, check_setting, storable_groups
from askback_server.domain.principals import Principal, Role
from askback_server.engine.periodic import every
from askback_server.engine.time_zones import is_time_zone
from askback_server.ports.clock import DatabaseClock
from askback_server.ports.people import PeopleStore

INTERVAL_SECONDS = 2.0
"""Seconds between two writes of what was noted."""
MAX_NOTES = 10_000
"""Maximum number of people that are noted and not written yet, and of those known to be written. The oldest
are dropped: they are noted again with their next call."""
PEOPLE_PER_WRITE = 50
"""People that one transaction changes. SQLite's other writes wait meanwhile, some milliseconds."""


def no_roster() -> Roster | None:
    """The roster of a service without a token file."""
    return None


class Directory:
    """The people of a database, and what this replica has noted of them.

    `roster` returns what the token file says now: the same object until that changes. None: there is no token
    file, so the groups of people are those that their calls name.
    """

    def __init__(
        self,
        store: PeopleStore,
        clock: DatabaseClock,
        limits: Limits,
        roster: Callable[[], Roster | None] = no_roster,
    ) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._roster = roster
        self._applied: Roster | None = None
        """The roster that is stored."""
        self._notes: OrderedDict[PersonKey, Sighting] = OrderedDict()
        self._written: OrderedDict[PersonKey, Sighting] = OrderedDict()
        """The last sightings that were written, to skip those that say nothing new."""

    def note(self, principal: Principal, namespace: str) -> None:
        """Note that a caller uses a namespace, if it is a person. Reads and writes nothing."""
        if not is_person(principal):
            return
        key, now = (namespace, principal.subject), self._clock.now()
        known = self._written.get(key)
        if known and known.groups == principal.groups and now - known.at < SEEN_INTERVAL:
            return
        _put(self._notes, key, Sighting(*key, principal.groups, now))

    async def run(self) -> None:
        """Write what was noted until cancelled. Errors are logged."""
        await every(INTERVAL_SECONDS, self.write, "people")

    async def write(self) -> None:
        """Write the token file's people if they have changed, then the notes. Raises StorageUnavailable."""
        roster = self._roster()
        if roster is not self._applied and roster is not None:
            await self._apply(roster)
            self._applied = roster
        while self._notes:
            await self._write_notes(roster)

    async def _apply(self, roster: Roster) -> None:
        keys = {*roster.keys(), *await self._store.list_with_credentials()}
        await self._change(keys, lambda key: follow_roster(key, self._storable(roster.groups_of(key))))

    async def _write_notes(self, roster: Roster | None) -> None:
        """Write the oldest notes. They stay noted until they are written."""
        notes = dict(list(self._notes.items())[:PEOPLE_PER_WRITE])
        groups = {
            key: self._storable(note.groups if roster is None else roster.groups_of(key))
            for key, note in notes.items()
        }
        # Without an entry left the call was one of the last of its credentials.
        decisions = {
            key: note_sighting(note, named)
            for key, note in notes.items()
            if (named := groups[key]) is not None
        }
        await self._change(decisions, decisions.__getitem__)
        for key, note in notes.items():
            _put(self._written, key, note)
            if self._notes.get(key) is note:  # no newer one has come meanwhile
                del self._notes[key]

    async def _change(self, keys: Iterable[PersonKey], decide: Callable[[PersonKey], Decision]) -> None:
        by_namespace: Mapping[str, list[str]] = defaultdict(list)
        for namespace, subject in sorted(keys):
            by_namespace[namespace].append(subject)
        for namespace, subjects in by_namespace.items():
            for at in range(0, len(subjects), PEOPLE_PER_WRITE):
                some = subjects[at : at + PEOPLE_PER_WRITE]
                await self._store.change(namespace, some, decide)

    def _storable(self, groups: frozenset[str] | None) -> frozenset[str] | None:
        return None if groups is None else storable_groups(groups, self._limits)

    async def set_person(
        self, principal: Principal, setting: PersonSetting, *, validate_only: bool = False
    ) -> Person:
        """Store what an admin says of a person. Returns the person; with `validate_only` as it would be.

        Raises PermissionDenied, InvalidField, StorageUnavailable.
        """
        principal.require(Role.ADMIN)
        check_setting(setting, self._limits, is_time_zone)
        decision, wanted = set_person(setting, principal.subject), list[Person | None]()

        def decide(stored: Person | None, now: datetime) -> Person | None:
            wanted.append(decision(stored, now))
            return stored if validate_only else wanted[-1]

        await self._store.change(setting.namespace, [setting.subject], lambda _: decide)
        assert wanted[-1] is not None
        return wanted[-1]

    async def delete_person(self, principal: Principal, namespace: str, subject: str) -> None:
        """Erase what is known of a person. Raises PermissionDenied, PersonNotFound, StorageUnavailable."""
        principal.require(Role.ADMIN)
        [person] = await self._store.change(namespace, [subject], lambda _: delete_person)
        if person is None:
            raise PersonNotFound(subject)
        for notes in (self._notes, self._written):  # its next sighting lists it again, at once
            notes.pop((namespace, subject), None)

    async def list_people(
        self, principal: Principal, filter: PeopleFilter, limit: int, after: str
    ) -> Sequence[Person]:
        """People by subject. Raises PermissionDenied, StorageUnavailable."""
        principal.require(Role.ADMIN)
        return await self._store.list_people(filter, limit, after)

    async def set_group(self, principal: Principal, namespace: str, name: str, complete: bool) -> Group:
        """Store whether a group's members are all known. Returns the group.

        Raises PermissionDenied, InvalidField, StorageUnavailable.
        """
        principal.require(Role.ADMIN)
        check = Checker(self._limits)
        check_group_name(check, "name", name)
        check.done()
        await self._store.set_group(namespace, name, complete)
        [group] = await self._store.list_groups(namespace, 1, only=name)
        return group

    async def list_groups(
        self, principal: Principal, namespace: str, limit: int, after: str
    ) -> Sequence[Group]:
        """Groups by name. Raises PermissionDenied, StorageUnavailable."""
        principal.require(Role.ADMIN)
        return await self._store.list_groups(namespace, limit, after)


def _put(notes: OrderedDict[PersonKey, Sighting], key: PersonKey, note: Sighting) -> None:
    """Add a note as the newest, and drop the oldest one if they are too many."""
    notes[key] = note
    notes.move_to_end(key)
    if len(notes) > MAX_NOTES:
        notes.popitem(last=False)
