"""The absences of people: one row each, read by every replica every few seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from askback_server.domain.absences import MAX_LINKS, Absence
from askback_server.ports.absences import AbsencePage, AbsenceScope, ChangeAbsences, Claim
from askback_server.storage.absence_table import absences
from askback_server.storage.dialect import Dialect
from askback_server.storage.people_tables import people
from askback_server.storage.reader import Reader, named
from askback_server.storage.types import Instant

_COLUMNS = tuple(f.name for f in fields(Absence) if f.name != "inactive")


def _is_inactive(subject: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether the directory has a person as inactive or deleted."""
    c = people.c
    is_gone = sa.or_(sa.not_(c.active), c.deleted_at.is_not(None))
    return sa.exists().where(c.namespace == absences.c.namespace, c.subject == subject, is_gone)


_ALL = sa.select(
    *(absences.c[name] for name in _COLUMNS),
    _is_inactive(absences.c.subject).label("is_inactive"),
    _is_inactive(absences.c.substitute).label("has_inactive"),
)
_LOCK = 0x61736B61
"""Of changes: there are few, so one is enough for all namespaces."""
_SINCE = _ALL.where(absences.c.updated_at >= named("since", absences.c.updated_at))
_OVER_FOR = timedelta(minutes=10)
"""Longer than replicas know an absence that is over."""


class AbsenceRows(Reader):
    """The AbsenceStore port."""

    async def change(self, scope: AbsenceScope, decide: ChangeAbsences) -> Absence:
        """Read, decide and write in one transaction, one after the other at all replicas: else absences could
        overlap or form a circle, and a call that is sent twice could make two."""

        def work(connection: sa.Connection) -> Absence:
            self._dialect.lock(connection, _LOCK)
            now = connection.execute(sa.select(sa.type_coerce(self._dialect.now(), Instant()))).scalar_one()
            known = self._read_scope(connection, scope, now)
            wanted, c = decide(known, now), absences.c
            before = next((each for each in known if each.absence_id == wanted.absence_id), None)
            if before == wanted:
                return wanted
            row = {name: getattr(wanted, name) for name in _COLUMNS} | {"updated_at": now}
            if before is None:
                row["created_at"] = now
                connection.execute(sa.insert(absences).values(row))
            else:
                row["created_at"] = before.created_at
                connection.execute(sa.update(absences).where(c.absence_id == wanted.absence_id).values(row))
            stored = connection.execute(_ALL.where(c.absence_id == wanted.absence_id))
            return _absence(stored.mappings().one())

        found: Absence = await self._dialect.run(work)
        return found

    def _read_scope(self, connection: sa.Connection, scope: AbsenceScope, now: datetime) -> list[Absence]:
        """The absences of the person, then those of the substitute, of its substitutes, and so on: one
        statement for each link. What others have set does not matter."""
        c = absences.c
        current = c.namespace == scope.namespace, c.until_at > now
        found = connection.execute(_ALL.where(*current, c.subject == scope.subject)).mappings().all()
        rows, names, seen = list(found), {scope.substitute}, {scope.subject, ""}
        for _ in range(MAX_LINKS):
            if not (names := names - seen):
                break
            seen |= names
            theirs = self._dialect.among(c.subject, sorted(names)), c.substitute != ""
            links = _ALL.where(*current, *theirs, c.from_at < scope.until_at)
            found = connection.execute(links).mappings().all()
            rows += found
            names = {row["substitute"] for row in found}
        return sorted(map(_absence, rows), key=lambda each: (each.from_at, each.absence_id))

    async def list_since(self, time: datetime | None) -> Sequence[Absence]:
        """Read by the index of `updated_at`, or all that are not over by that of `until_at`."""
        if time is not None:
            return [_absence(row) for row in await self._look_up(_SINCE, since=time)]
        now = sa.select(self._dialect.now()).scalar_subquery()  # read once: else no index could be used
        return [_absence(row) for row in await self._all(_ALL.where(absences.c.until_at > now))]

    async def list_absences(self, page: AbsencePage, limit: int, after: str) -> Sequence[Absence]:
        """Read in the order of the ids, which are by the time of their making."""
        c = absences.c
        where = [c.namespace == page.namespace]
        if page.subject:
            where.append(c.subject == page.subject)
        if after:
            where.append(c.absence_id > after)
        if not page.include_past:
            where.append(c.until_at > sa.select(self._dialect.now()).scalar_subquery())
        rows = await self._all(_ALL.where(*where).order_by(c.absence_id).limit(limit))
        return [_absence(row) for row in rows]

    async def find(self, namespace: str, absence_id: str) -> Absence | None:
        """Read by the primary key."""
        mine = absences.c.absence_id == absence_id, absences.c.namespace == namespace
        rows = await self._all(_ALL.where(*mine))
        return _absence(rows[0]) if rows else None

    async def claim_reviews(self, until: Mapping[str, datetime], lease: timedelta) -> Mapping[str, Claim]:
        """Read the rows with locks, and write the leases by one update, by the database's clock."""
        c = absences.c
        columns = c.absence_id, c.reviewed_at, c.leased_until
        mine = sa.select(*columns).where(self._dialect.among(c.absence_id, sorted(until)))
        locked = mine.order_by(c.absence_id).with_for_update()

        def work(connection: sa.Connection) -> Mapping[str, Claim]:
            rows = {row.absence_id: row for row in connection.execute(locked).all()}
            now = connection.execute(sa.select(sa.type_coerce(self._dialect.now(), Instant()))).scalar_one()
            claims = dict.fromkeys(until, Claim.DONE)
            for absence_id, row in rows.items():
                if row.reviewed_at is None or row.reviewed_at < until[absence_id]:
                    is_free = row.leased_until is None or row.leased_until <= now
                    claims[absence_id] = Claim.GRANTED if is_free else Claim.BUSY
            granted = sorted(each for each, claim in claims.items() if claim is Claim.GRANTED)
            if granted:
                claimed = sa.update(absences).where(self._dialect.among(c.absence_id, granted))
                connection.execute(claimed.values(leased_until=now + lease))
            return claims

        found: Mapping[str, Claim] = await self._dialect.run(work)
        return found

    async def finish_reviews(self, until: Mapping[str, datetime]) -> None:
        """Free the leases with it."""
        this = sa.update(absences).where(absences.c.absence_id == sa.bindparam("of"))
        statement = this.values(reviewed_at=sa.bindparam("until"), leased_until=None)
        rows = [{"of": each, "until": time} for each, time in sorted(until.items())]
        if rows:
            await self._dialect.run(lambda connection: connection.execute(statement, rows).rowcount)

    async def delete_over(self, before: datetime) -> int:
        """Delete by the index of `until_at`."""
        statement = sa.delete(absences).where(absences.c.until_at < before)
        count: int = await self._dialect.run(lambda connection: connection.execute(statement).rowcount)
        return count


def touch_absences(
    connection: sa.Connection, dialect: Dialect, namespace: str, subjects: Sequence[str], now: datetime
) -> None:
    """Mark the absences of people who became active or inactive, and those for which they stand in, as
    changed: replicas read them again, and review the prompts."""
    c = absences.c
    current = c.namespace == namespace, c.until_at > now - _OVER_FOR
    of_person, of_substitute = (
        sa.select(c.absence_id).where(*current, dialect.among(column, subjects))
        for column in (c.subject, c.substitute)
    )
    found = sorted(connection.execute(sa.union(of_person, of_substitute)).scalars())
    if found:
        mine = dialect.among(c.absence_id, found)
        # In the order of the ids, so that two writers do not wait for each other.
        connection.execute(sa.select(c.absence_id).where(mine).order_by(c.absence_id).with_for_update())
        connection.execute(sa.update(absences).where(mine).values(updated_at=now))


def _absence(row: Any) -> Absence:
    gone = {row["subject"]: row["is_inactive"], row["substitute"]: row["has_inactive"]}
    inactive = frozenset(subject for subject, is_inactive in gone.items() if is_inactive)
    return Absence(**{name: row[name] for name in _COLUMNS}, inactive=inactive)
