"""The keeper of worker sessions, without a database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from askback_server.domain.commands import SessionRef
from askback_server.domain.errors import StorageUnavailable
from askback_server.engine.keeper import LiveSession, SessionKeeper


class Store:
    """Stands for the session rows: records extensions, or fails like an unreachable database."""

    def __init__(self) -> None:
        self.away = False
        self.beats: list[list[tuple[str, int]]] = []
        self.living: dict[str, int] | None = None
        """If set, no session can be extended, and these are the epochs of the live ones."""

    async def beat(self, sessions: Sequence[tuple[str, int]], ttl: float) -> dict[str, datetime]:
        if self.away:
            raise StorageUnavailable("away")
        self.beats.append(list(sessions))
        if self.living is not None:
            return {}
        return {name: datetime.now(UTC) + timedelta(seconds=ttl) for name, _ in sessions}

    async def epochs(self, session_ids: Sequence[str]) -> dict[str, int]:
        return {k: v for k, v in (self.living or {}).items() if k in session_ids}


async def test_a_heartbeat_survives_an_extension_that_could_not_be_written() -> None:
    """The next heartbeat comes only after a third of the session's time: the last one must not be lost."""
    store = Store()
    keeper = SessionKeeper(cast(Any, store), cast(Any, None), cast(Any, None), 30.0)
    lost: list[str] = []
    kept = LiveSession(SessionRef("s", 1), lambda: lost.append("s"), lambda: None, datetime.now(UTC))
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


@pytest.mark.parametrize(("epoch", "told"), [(2, "moved"), (1, "lost"), (0, "lost")])
async def test_a_session_taken_over_by_another_stream_is_not_lost(epoch: int, told: str) -> None:
    """The worker is served by the other stream. Reporting a lost lease here would stop jobs that it holds."""
    store = Store()
    store.living = {"s": epoch} if epoch else {}
    keeper = SessionKeeper(cast(Any, store), cast(Any, None), cast(Any, None), 30.0)
    heard: list[str] = []
    keeper.keep(
        LiveSession(
            SessionRef("s", 1), lambda: heard.append("lost"), lambda: heard.append("moved"), datetime.now(UTC)
        )
    )
    await keeper.beat()
    await keeper.beat()
    assert heard == [told]
    assert not keeper.present


async def test_the_last_heartbeat_counts_after_its_stream_has_ended() -> None:
    """A worker computes its expiry from its last frame, so the session must not end before that."""
    store = Store()
    keeper = SessionKeeper(cast(Any, store), cast(Any, None), cast(Any, None), 30.0)
    for name in ("heard", "silent"):
        keeper.keep(LiveSession(SessionRef(name, 1), lambda: None, lambda: None, datetime.now(UTC)))
    await keeper.beat()
    keeper.note_heard(SessionRef("heard", 1))
    for name in ("heard", "silent"):
        keeper.forget(SessionRef(name, 1))
    store.away = True
    with pytest.raises(StorageUnavailable):
        await keeper.beat()
    store.away = False
    await keeper.beat()
    await keeper.beat()
    assert store.beats[1:] == [[("heard", 1)], []]


async def test_a_worker_that_reconnects_between_two_beats_keeps_its_session() -> None:
    """The old stream had heartbeats too, with the older epoch. A session is extended once."""
    store = Store()
    keeper = SessionKeeper(cast(Any, store), cast(Any, None), cast(Any, None), 30.0)
    for epoch in (1, 2, 3):
        keeper.keep(LiveSession(SessionRef("s", epoch), lambda: None, lambda: None, datetime.now(UTC)))
        if epoch < 3:
            keeper.forget(SessionRef("s", epoch))
    store.away = True
    with pytest.raises(StorageUnavailable):
        await keeper.beat()
    store.away = False
    await keeper.beat()
    assert store.beats == [[("s", 3)]]
