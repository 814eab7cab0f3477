"""The absences of people: one row each, read by every replica every few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from askback_server.domain.absences import Absence
from askback_server.ports.absences import AbsencePage, ChangeAbsences, Claim
from askback_server.storage.absence_table import absences
from askback_server.storage.reader import Reader, named
from askback_server.storage.types import Instant

_COLUMNS = tuple(f.name for f in fields(Absence))
_ALL = sa.select(*(absences.c[name] for name in _COLUMNS))
_LOCK = 0x61736B61
"""Of changes: there are few, so one is enough for all namespaces."""
_SINCE = _ALL.where(absences.c.updated_at >= named("since", absences.c.updated_at))


class AbsenceRows(Reader):
    """The AbsenceStore port."""

    async def change(self, namespace: str, decide: ChangeAbsences) -> Absence:
        """Read, decide and write in one transaction, one after the other at all replicas: else absences could
        overlap or form a circle, and a call that is sent twice could make two."""

        def work(connection: sa.Connection) -> Absence:
            self._dialect.lock(connection, _LOCK)
            now = connection.execute(sa.select(sa.type_coerce(self._dialect.now(), Instant()))).scalar_one()
            c = absences.c
            mine = _ALL.where(c.namespace == namespace, c.until_at > now).order_by(c.from_at)
            known = [_absence(row) for row in connection.execute(mine).mappings().all()]
            wanted = decide(known, now)
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
            return _absence(row)

        found: Absence = await self._dialect.run(work)
        return found

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

    async def claim_review(self, absence_id: str, until: datetime, lease: timedelta) -> Claim:
        """One conditional update, by the database's clock."""
        c = absences.c

        def work(connection: sa.Connection) -> Claim:
            now = connection.execute(sa.select(sa.type_coerce(self._dialect.now(), Instant()))).scalar_one()
            free = sa.or_(c.leased_until.is_(None), c.leased_until <= now)
            is_due = sa.or_(c.reviewed_at.is_(None), c.reviewed_at < until)
            claimed = sa.update(absences).where(c.absence_id == absence_id, free, is_due)
            if connection.execute(claimed.values(leased_until=now + lease)).rowcount:
                return Claim.GRANTED
            left = sa.select(c.absence_id).where(c.absence_id == absence_id, is_due)
            return Claim.DONE if connection.execute(left).first() is None else Claim.BUSY

        claim: Claim = await self._dialect.run(work)
        return claim

    async def finish_review(self, absence_id: str, until: datetime) -> None:
        """Free the lease with it."""
        mine = sa.update(absences).where(absences.c.absence_id == absence_id)
        statement = mine.values(reviewed_at=until, leased_until=None)
        await self._dialect.run(lambda connection: connection.execute(statement).rowcount)

    async def delete_over(self, before: datetime) -> int:
        """Delete by the index of `until_at`."""
        statement = sa.delete(absences).where(absences.c.until_at < before)
        count: int = await self._dialect.run(lambda connection: connection.execute(statement).rowcount)
        return count


def _absence(row: Any) -> Absence:
    return Absence(**{name: row[name] for name in _COLUMNS})
