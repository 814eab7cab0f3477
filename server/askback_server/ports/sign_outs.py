"""Storage of sign-outs. See `engine/sign_outs.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from askback_server.domain.sign_outs import SignOut


@dataclass(frozen=True, slots=True)
class StoredSignOut:
    """A sign-out, and when it was stored by the database's clock."""

    sign_out: SignOut
    stored_at: datetime


class SignOutStore(Protocol):
    """One row per ended session that would still go on."""

    async def add(self, sign_out: SignOut) -> None:
        """Store a sign-out. One that exists is stored again only to last longer."""

    async def list_since(self, time: datetime | None) -> Sequence[StoredSignOut]:
        """Sign-outs that were stored at or after a time (None: all) and are not deleted yet."""

    async def delete_expired(self) -> int:
        """Delete the sign-outs that have expired. Returns how many."""
