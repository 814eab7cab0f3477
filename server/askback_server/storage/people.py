"""The directory of people: rows of people, dated facts of memberships, statements on groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from askback_server.domain.people import (
    Decision,
    Group,
    Membership,
    PeopleFilter,
    Person,
    PersonKey,
    Source,
    search_text,
)
from askback_server.ports.clock import uuid7
from askback_server.storage.absences import touch_absences
from askback_server.storage.electorate import ElectorateReads
from askback_server.storage.people_tables import group_members, people, people_groups
from askback_server.storage.types import Instant

_INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_COLUMNS = tuple(f.name for f in fields(Person) if f.name != "memberships")
_CURRENT = group_members.c.until_at.is_(None)
_ROW_OF_KEY = sa.and_(
    people.c.namespace == sa.bindparam("of_namespace"), people.c.subject == sa.bindparam("of_subject")
)
_FACT = ("namespace", "subject", "group_name", "source")
_CURRENT_FACT = sa.and_(_CURRENT, *(group_members.c[name] == sa.bindparam(f"of_{name}") for name in _FACT))


class PeopleRows(ElectorateReads):
    """The PeopleStore port."""

    async def change(
        self, namespace: str, subjects: Sequence[str], decide: Callable[[PersonKey], Decision]
    ) -> Sequence[Person | None]:
        """Read with locks, decide and write in one transaction."""

        def work(connection: sa.Connection) -> Sequence[Person | None]:
            clock = sa.select(sa.type_coerce(self._dialect.now(), Instant()))
            while True:
                stored = self._lock(connection, namespace, subjects)
                now = connection.execute(clock).scalar_one()
                wanted = {each: decide((namespace, each))(stored.get(each), now) for each in subjects}
                new = [person for person in wanted.values() if person and person.subject not in stored]
                # Another replica may have added one of them since: then decide again, on its row.
                if self._insert(connection, people, map(_row, new)) == len(new):
                    break
            changed = [p for p in wanted.values() if p and p != stored.get(p.subject)]
            self._update(connection, [p for p in changed if p.subject in stored])
            self._write_facts(connection, stored, changed, now)
            gone = {subject for subject, person in stored.items() if person.is_gone}
            if moved := [p.subject for p in changed if p.is_gone != (p.subject in gone)]:
                touch_absences(connection, self._dialect, namespace, moved, now)
            return [wanted[each] for each in subjects]

        found: Sequence[Person | None] = await self._dialect.run(work)
        return found

    def _lock(self, connection: sa.Connection, namespace: str, subjects: Sequence[str]) -> dict[str, Person]:
        """The people by subject, with their current memberships. No other replica changes them meanwhile."""
        mine = people.c.namespace == namespace, self._dialect.among(people.c.subject, subjects)
        rows = connection.execute(
            sa.select(people).where(*mine).order_by(people.c.subject).with_for_update()
        ).mappings()
        found = {row["subject"]: row for row in rows.all()}
        facts = connection.execute(self._facts(namespace, subjects, _CURRENT)).mappings().all()
        return _people(found, facts)

    def _facts(
        self, namespace: str, subjects: Sequence[str], condition: sa.ColumnElement[bool]
    ) -> sa.Select[Any]:
        c = group_members.c
        return (
            sa.select(group_members)
            .where(c.namespace == namespace, self._dialect.among(c.subject, subjects), condition)
            .order_by(c.group_name, c.source, c.from_at)
        )

    def _insert(self, connection: sa.Connection, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> int:
        """Insert rows that do not exist yet. Returns how many."""
        values = sorted(rows, key=lambda row: row["subject"])  # two replicas wait for each other in turn
        statement = _INSERT[self._dialect.name](table).on_conflict_do_nothing()
        return sum(connection.execute(statement, row).rowcount for row in values)

    def _update(self, connection: sa.Connection, changed: Sequence[Person]) -> None:
        statement = sa.update(people).where(_ROW_OF_KEY)
        for person in changed:
            key = {"of_namespace": person.namespace, "of_subject": person.subject}
            connection.execute(statement.values(_row(person)), key)

    def _write_facts(
        self,
        connection: sa.Connection,
        stored: Mapping[str, Person],
        changed: Sequence[Person],
        now: datetime,
    ) -> None:
        """End the memberships that are gone, and add those that are new."""
        end = sa.update(group_members).where(_CURRENT_FACT).values(until_at=now)
        added: list[dict[str, Any]] = []
        for person in changed:
            before = stored[person.subject].memberships if person.subject in stored else ()
            for fact in set(before) - set(person.memberships):
                row = _fact_row(person, fact)
                connection.execute(end, {f"of_{name}": row[name] for name in _FACT})
            added += [_fact_row(person, fact) for fact in person.memberships if fact not in before]
        self._insert(connection, group_members, added)

    async def list_with_credentials(self) -> Sequence[PersonKey]:
        """Read the whole table: rare, and needed as a whole."""
        statement = sa.select(people.c.namespace, people.c.subject).where(people.c.has_credentials)
        return [(row["namespace"], row["subject"]) for row in await self._all(statement)]

    async def list_people(self, filter: PeopleFilter, limit: int, after: str) -> Sequence[Person]:
        """Read in the order of the primary key; then the facts of these people."""
        c, held = people.c, _held_at(filter.at)
        gone_later = sa.false() if filter.at is None else c.deleted_at > filter.at
        where = [
            c.namespace == filter.namespace,
            c.subject > after,
            sa.or_(c.deleted_at.is_(None), gone_later),
        ]
        if not filter.include_inactive:
            where.append(c.active)
        if filter.starts:
            where.append(c.search.contains("\n" + filter.starts.casefold(), autoescape=True))
        if filter.group:
            member = group_members.c
            mine = member.namespace == filter.namespace, member.group_name == filter.group, held
            where.append(c.subject.in_(sa.select(member.subject).where(*mine)))
        rows = await self._all(sa.select(people).where(*where).order_by(c.subject).limit(limit))
        found = {row["subject"]: row for row in rows}
        if not found:
            return []
        facts = await self._all(self._facts(filter.namespace, list(found), held))
        return list(_people(found, facts).values())

    async def set_group(self, namespace: str, name: str, complete: bool) -> None:
        """Insert or replace the row."""
        row: Any = _INSERT[self._dialect.name](people_groups).values(
            namespace=namespace, name=name, complete=complete, updated_at=self._dialect.now()
        )
        statement = row.on_conflict_do_update(
            index_elements=[people_groups.c.namespace, people_groups.c.name],
            set_={"complete": row.excluded.complete, "updated_at": row.excluded.updated_at},
        )
        await self._dialect.run(lambda connection: connection.execute(statement).rowcount)

    async def list_groups(
        self, namespace: str, limit: int, after: str = "", *, only: str = ""
    ) -> Sequence[Group]:
        """Read the names from both tables; then what is known of these groups."""
        of_members = group_members.c.namespace == namespace, _CURRENT
        of_groups = (people_groups.c.namespace == namespace,)
        names = [only]
        if not only:
            behind = sa.union(
                sa.select(people_groups.c.name).where(*of_groups, people_groups.c.name > after),
                sa.select(group_members.c.group_name).where(*of_members, group_members.c.group_name > after),
            ).order_by(sa.text("name"))
            names = [row["name"] for row in await self._all(behind.limit(limit))]
        complete = sa.select(people_groups.c.name, people_groups.c.complete).where(
            *of_groups, self._dialect.among(people_groups.c.name, names)
        )
        stated = {row["name"]: bool(row["complete"]) for row in await self._all(complete)}
        counts = (
            sa.select(group_members.c.group_name, sa.func.count(people.c.subject.distinct()).label("n"))
            .join(
                people,
                sa.and_(
                    people.c.namespace == group_members.c.namespace,
                    people.c.subject == group_members.c.subject,
                ),
            )
            .where(
                *of_members,
                self._dialect.among(group_members.c.group_name, names),
                people.c.active,
                people.c.deleted_at.is_(None),
            )
            .group_by(group_members.c.group_name)
        )
        members = {row["group_name"]: row["n"] for row in await self._all(counts)}
        return [Group(name, stated.get(name, False), members.get(name, 0)) for name in names]


def _held_at(at: datetime | None) -> sa.ColumnElement[bool]:
    """Whether a fact holds at a time: it has begun, and not ended. None: now."""
    if at is None:
        return _CURRENT
    c = group_members.c
    return sa.and_(c.from_at <= at, sa.or_(c.until_at.is_(None), c.until_at > at))


def _row(person: Person) -> dict[str, Any]:
    row = {name: getattr(person, name) for name in _COLUMNS}
    return {**row, "search": search_text(person.subject, person.display_name)}


def _fact_row(person: Person, fact: Membership) -> dict[str, Any]:
    return {
        "membership_id": uuid7(),
        "namespace": person.namespace,
        "subject": person.subject,
        "group_name": fact.group,
        "source": fact.source.value,
        "from_at": fact.from_at,
        "until_at": fact.until_at,
        "set_by": fact.set_by,
    }


def _people(rows: Mapping[str, Any], facts: Sequence[Any]) -> dict[str, Person]:
    """People by subject, each with the facts that are its own."""
    memberships: dict[str, list[Membership]] = {subject: [] for subject in rows}
    for row in facts:
        source = Source(row["source"])
        fact = Membership(row["group_name"], source, row["from_at"], row["until_at"], row["set_by"])
        memberships.setdefault(row["subject"], []).append(fact)
    return {
        subject: Person(**{name: row[name] for name in _COLUMNS}, memberships=tuple(memberships[subject]))
        for subject, row in rows.items()
    }
