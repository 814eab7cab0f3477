"""Sign-outs: one row per ended session, read by each replica every few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from askback_server.domain.sign_outs import SignOut
from askback_server.ports.sign_outs import StoredSignOut
from askback_server.storage.reader import Reader, named
from askback_server.storage.sign_out_table import sign_outs

_INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}

_ALL = sa.select(sign_outs)
_SINCE = _ALL.where(sign_outs.c.stored_at >= named("since", sign_outs.c.stored_at))


class SignOutRows(Reader):
    """The SignOutStore port."""

    async def add(self, sign_out: SignOut) -> None:
        """Insert the row, or let an existing one last longer: then the other replicas read it again."""
        row: Any = _INSERT[self._dialect.name](sign_outs).values(
            subject=sign_out.subject,
            session_id=sign_out.session_id,
            stored_at=self._dialect.now(),
            expires_at=sign_out.expires_at,
        )
        statement = row.on_conflict_do_update(
            index_elements=[sign_outs.c.subject, sign_outs.c.session_id],
            set_={"stored_at": row.excluded.stored_at, "expires_at": row.excluded.expires_at},
            where=row.excluded.expires_at > sign_outs.c.expires_at,
        )
        await self._dialect.run(lambda connection: connection.execute(statement).rowcount)

    async def list_since(self, time: datetime | None) -> Sequence[StoredSignOut]:
        """Read by the index of `stored_at`."""
        found = await (self._look_up(_ALL) if time is None else self._look_up(_SINCE, since=time))
        return [
            StoredSignOut(SignOut(r["subject"], r["session_id"], r["expires_at"]), r["stored_at"])
            for r in found
        ]

    async def delete_expired(self) -> int:
        """Delete by the index of `expires_at`."""
        now = sa.select(self._dialect.now()).scalar_subquery()  # read once: else no index could be used
        statement = sa.delete(sign_outs).where(sign_outs.c.expires_at <= now)
        count: int = await self._dialect.run(lambda connection: connection.execute(statement).rowcount)
        return count
