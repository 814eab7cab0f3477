"""The keeper of worker sessions, without a database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from askback_server.domain.commands import SessionRef
from askback_server.domain.errors import StorageUnavailable
from askback_server.engine.keeper import Kept, SessionKeeper


class Store:
    """Session rows: those that were extended, or the database is away."""

    def __init__(self) -> None:
        self.away = False
        self.beats: list[list[tuple[str, int]]] = []

    async def beat(self, sessions: Sequence[tuple[str, int]], ttl: float) -> dict[str, datetime]:
        if self.away:
            raise StorageUnavailable("away")
        self.beats.append(list(sessions))
        return {name: datetime.now(UTC) + timedelta(seconds=ttl) for name, _ in sessions}


async def test_a_sign_of_life_outlives_a_beat_that_could_not_be_written() -> None:
    """The worker is heard again only in a third of its session's time: nobody may forget what it said."""
    store = Store()
    keeper = SessionKeeper(cast(Any, store), cast(Any, None), cast(Any, None), 30.0)
    lost: list[str] = []
    kept = Kept(SessionRef("s", 1), lambda: lost.append("s"), lambda: None, datetime.now(UTC))
    keeper.keep(kept)
    store.away = True
    for _ in range(10):
        with pytest.raises(StorageUnavailable):
            await keeper.beat()
    store.away = False
    await keeper.beat()
    await keeper.beat()
    assert store.beats == [[("s", 1)], []]
    assert not lost
