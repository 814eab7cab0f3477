"""The log of all jobs, read so that nothing can appear later before a position.

PostgreSQL: by (xid, id) below the oldest transaction that still runs. A cursor on the serial id
alone loses events (measured: 474 of 5,157), because ids are drawn before their transactions commit.
SQLite: one writer, so ids are in the order of commits, and every xid is 0.
"""

from __future__ import annotations

import sqlalchemy as sa

from askback_server.ports.storage import Changed, Position
from askback_server.storage.reads import Reads
from askback_server.storage.settings import get_setting
from askback_server.storage.tables import events


class EventFeed(Reads):
    """Positions and what lies between them."""

    async def epoch(self) -> str:
        """Names this database's history."""
        return str(await self._dialect.run(lambda c: get_setting(c, "feed_epoch")))

    async def head(self) -> Position:
        """The newest position that is safe to resume from."""
        statement = (
            sa.select(events.c.xid, events.c.id)
            .where(self._dialect.settled(events.c.xid))
            .order_by(events.c.xid.desc(), events.c.id.desc())
            .limit(1)
        )
        found = await self._all(statement)
        return Position(found[0]["xid"], found[0]["id"]) if found else await self.tail()

    async def tail(self) -> Position:
        """The oldest position that can still be resumed from."""
        mark = await self._dialect.run(lambda c: get_setting(c, "feed_tail"))
        xid, _, id = str(mark or "0:0").partition(":")
        return Position(int(xid), int(id))

    async def after(
        self, position: Position, limit: int, *, settled: bool = True
    ) -> tuple[list[Changed], Position]:
        """What changed after a position, by job.

        Folded by the database: most of what is read is what this replica has written itself.
        """
        span = (
            sa.select(
                events.c.xid,
                events.c.id,
                events.c.job_id,
                events.c.seq,
                events.c.prompt_id,
                events.c.namespace,
            )
            .where(
                sa.tuple_(events.c.xid, events.c.id)
                > sa.tuple_(
                    sa.literal(position.xid, events.c.xid.type), sa.literal(position.id, sa.BigInteger())
                ),
                self._dialect.settled(events.c.xid) if settled else sa.true(),
            )
            .order_by(events.c.xid, events.c.id)
            .limit(limit)
            .cte("span")
        )
        last = (
            sa.select(span.c.xid, span.c.id)
            .order_by(span.c.xid.desc(), span.c.id.desc())
            .limit(1)
            .subquery("last")
        )
        statement = (
            sa.select(
                span.c.job_id,
                sa.func.max(span.c.seq).label("seq"),
                sa.func.max(span.c.namespace).label("namespace"),
                sa.func.aggregate_strings(sa.cast(span.c.prompt_id, sa.Text), ",").label("prompt_ids"),
                last.c.xid,
                last.c.id,
            )
            .select_from(span.join(last, sa.true()))
            .group_by(span.c.job_id, last.c.xid, last.c.id)
            .order_by(sa.func.min(span.c.id))
        )
        found = await self._all(statement)
        if not found:
            return [], position
        changed = [
            Changed(
                row["job_id"],
                row["seq"],
                frozenset(row["prompt_ids"].split(",")) if row["prompt_ids"] else frozenset(),
                row["namespace"],
            )
            for row in found
        ]
        return changed, Position(found[0]["xid"], found[0]["id"])
