"""Checkpoints: read from the log by position, and stored with the position they reach."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache

import sqlalchemy as sa

from askback_server.domain.checkpoints import Head
from askback_server.domain.events import EventType
from askback_server.ports.checkpoints import CheckpointMark, HeadPage, StoredCheckpoint
from askback_server.ports.storage import Position
from askback_server.storage.checkpoint_table import audit_checkpoints
from askback_server.storage.dialect import Dialect
from askback_server.storage.reader import MOST, Reader, named
from askback_server.storage.settings import CHECKPOINTED
from askback_server.storage.tables import events, settings

_MARK = sa.select(settings.c.value).where(settings.c.name == CHECKPOINTED)
_NEWEST = (
    sa.select(audit_checkpoints.c.number, audit_checkpoints.c.statement)
    .where(audit_checkpoints.c.namespace == named("namespace", audit_checkpoints.c.namespace))
    .order_by(audit_checkpoints.c.number.desc())
    .limit(1)
)


class CheckpointRows(Reader):
    """The CheckpointStore port."""

    async def mark(self) -> CheckpointMark:
        """Read the setting."""
        return _to_mark((await self._look_up(_MARK))[0]["value"])

    async def heads_after(self, position: Position, limit: int) -> HeadPage:
        """One statement: the last event of each job in the page, and how large the page was."""
        given = {"xid": position.xid, "id": position.id, "most": limit}
        found = await self._look_up(_heads(type(self._dialect)), **given)
        heads = [
            (
                row["namespace"],
                Head(row["job_id"], row["seq"], row["hash"], row["type"] == EventType.JOB_DELETED),
            )
            for row in found
            if row["hash"] is not None
        ]
        end = Position(found[0]["last_xid"], found[0]["last_id"]) if found else position
        return HeadPage(heads, end, bool(found) and found[0]["n"] == limit)

    async def newest(self, namespaces: Collection[str]) -> Mapping[str, tuple[int, str]]:
        """One look-up for each namespace: they are few, and each reads one row."""
        newest: dict[str, tuple[int, str]] = {}
        for namespace in namespaces:
            for row in await self._look_up(_NEWEST, namespace=namespace):
                newest[namespace] = row["number"], row["statement"]
        return newest

    async def add(
        self, before: CheckpointMark, after: CheckpointMark, made: Sequence[StoredCheckpoint]
    ) -> bool:
        """Move the mark if it is still the same, and insert, in one transaction."""
        moved = (
            sa.update(settings)
            .where(settings.c.name == CHECKPOINTED, settings.c.value == _to_text(before))
            .values(value=_to_text(after))
        )
        rows = [
            {
                "namespace": each.checkpoint.namespace,
                "number": each.checkpoint.number,
                "at": each.checkpoint.at,
                "statement": each.statement,
                "heads": each.heads,
            }
            for each in made
        ]

        def work(connection: sa.Connection) -> bool:
            if connection.execute(moved).rowcount != 1:
                return False
            if rows:
                connection.execute(sa.insert(audit_checkpoints), rows)
            return True

        done: bool = await self._dialect.run(work)
        return done

    async def delete_before(self, time: datetime) -> int:
        """Delete by the index of times."""
        statement = sa.delete(audit_checkpoints).where(audit_checkpoints.c.at < time)
        count: int = await self._dialect.run(lambda connection: connection.execute(statement).rowcount)
        return count


@cache
def _heads(dialect: type[Dialect]) -> sa.Select[tuple[object, ...]]:
    c = events.c
    span = (
        sa.select(c.xid, c.id, c.job_id, c.seq, c.hash, c.namespace, c.type)
        .where(dialect.in_log_after("xid", "id"), dialect.is_settled(c.xid))
        .order_by(c.xid, c.id)
        .limit(MOST)
        .cte("span")
    )
    whole = (sa.func.count().over()).label("n")
    place = sa.func.row_number().over(partition_by=span.c.job_id, order_by=span.c.seq.desc()).label("place")
    last = sa.func.row_number().over(order_by=(span.c.xid.desc(), span.c.id.desc())).label("from_end")
    each = sa.select(span, whole, place, last).cte("each")
    end = sa.select(each.c.xid, each.c.id).where(each.c.from_end == 1).cte("reached")
    return sa.select(
        each.c.job_id,
        each.c.seq,
        each.c.hash,
        each.c.namespace,
        each.c.type,
        each.c.n,
        end.c.xid.label("last_xid"),
        end.c.id.label("last_id"),
    ).where(each.c.place == 1)


def _to_mark(text: str) -> CheckpointMark:
    xid, id, at = text.split(":", 2)
    return CheckpointMark(Position(int(xid), int(id)), datetime.fromisoformat(at) if at else None)


def _to_text(mark: CheckpointMark) -> str:
    return f"{mark.position.xid}:{mark.position.id}:{mark.at.isoformat() if mark.at else ''}"
