"""Reads of the directory for approvals: members of groups, and who has left."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from askback_server.domain.electorate import (
    MAX_MEMBERS,
    Departures,
    Electorate,
    ElectorateQuery,
    GroupMembers,
)
from askback_server.storage.people_tables import group_members, people, people_groups
from askback_server.storage.reader import Reader

_PERSON = sa.and_(
    people.c.namespace == group_members.c.namespace, people.c.subject == group_members.c.subject
)


class ElectorateReads(Reader):
    """The part of the PeopleStore port that serves approvals."""

    async def read_electorate(self, queries: Sequence[ElectorateQuery]) -> Electorate:
        """See PeopleStore."""
        members: dict[tuple[str, str], GroupMembers] = {}
        departures: dict[str, Departures] = {}
        active: dict[str, dict[str, frozenset[str]]] = {}
        for query in queries:
            if query.asked:
                members |= await self._read_members(query.namespace, query.asked)
            if query.voters:
                departures[query.namespace] = await self._read_departures(query)
            if query.people:
                active[query.namespace] = await self._read_people(query)
        return Electorate(members, departures, active)

    async def _read_people(self, query: ElectorateQuery) -> dict[str, frozenset[str]]:
        """The active ones of some people, with their groups."""
        c = group_members.c
        statement = (
            sa.select(people.c.subject, c.group_name)
            .outerjoin(group_members, sa.and_(_PERSON, c.until_at.is_(None)))
            .where(
                people.c.namespace == query.namespace,
                self._dialect.among(people.c.subject, sorted(query.people)),
                people.c.active,
                people.c.deleted_at.is_(None),
            )
        )
        found: dict[str, set[str]] = {}
        for row in await self._all(statement):
            found.setdefault(row["subject"], set()).update({row["group_name"]} - {None})
        return {subject: frozenset(groups) for subject, groups in found.items()}

    async def _read_members(
        self, namespace: str, groups: frozenset[str]
    ) -> dict[tuple[str, str], GroupMembers]:
        of_group = people_groups.c.namespace == namespace, people_groups.c.complete
        named = self._dialect.among(people_groups.c.name, sorted(groups))
        rows = await self._all(sa.select(people_groups.c.name).where(*of_group, named))
        complete = {row["name"] for row in rows}
        c = group_members.c
        members = (
            sa.select(c.group_name, c.subject)
            .distinct()
            .join(people, _PERSON)
            .where(
                c.namespace == namespace,
                self._dialect.among(c.group_name, sorted(groups)),
                c.until_at.is_(None),
                people.c.active,
                people.c.deleted_at.is_(None),
            )
            .subquery()
        )
        number = sa.func.row_number().over(partition_by=members.c.group_name, order_by=members.c.subject)
        numbered = sa.select(members, number.label("number")).subquery()
        statement = sa.select(numbered).where(numbered.c.number <= MAX_MEMBERS + 1)
        subjects: dict[str, set[str]] = {group: set() for group in groups}
        for row in await self._all(statement):
            subjects[row["group_name"]].add(row["subject"])
        return {
            (namespace, group): GroupMembers(frozenset(found), group in complete, len(found) > MAX_MEMBERS)
            for group, found in subjects.items()
        }

    async def _read_departures(self, query: ElectorateQuery) -> Departures:
        mine = self._dialect.among(people.c.subject, sorted(query.voters))
        away = sa.select(people.c.subject, people.c.active, people.c.deleted_at).where(
            people.c.namespace == query.namespace,
            mine,
            sa.or_(sa.not_(people.c.active), people.c.deleted_at.is_not(None)),
        )
        deleted: dict[str, datetime] = {}
        inactive: set[str] = set()
        for row in await self._all(away):
            if row["deleted_at"] is not None:
                deleted[row["subject"]] = row["deleted_at"]
            else:
                inactive.add(row["subject"])
        if not query.voted:
            return Departures({}, deleted, frozenset(inactive))
        c = group_members.c
        facts = sa.select(c.subject, c.group_name, c.until_at).where(
            c.namespace == query.namespace,
            self._dialect.among(c.subject, sorted(query.voters)),
            self._dialect.among(c.group_name, sorted(query.voted)),
        )
        left: dict[tuple[str, str], datetime] = {}
        current: set[tuple[str, str]] = set()
        for row in await self._all(facts):
            fact = row["subject"], row["group_name"]
            if row["until_at"] is None:
                current.add(fact)
            else:
                left[fact] = max(row["until_at"], left.get(fact, row["until_at"]))
        still = {fact: at for fact, at in left.items() if fact not in current}
        return Departures(still, deleted, frozenset(inactive))
