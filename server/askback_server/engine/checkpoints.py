"""Makes checkpoints over the chains of jobs, every ten minutes, whichever replica comes first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from askback_server.domain.checkpoints import BadSigningKeys, Head, make_checkpoint
from askback_server.ports.checkpoints import CheckpointMark, CheckpointStore, StoredCheckpoint
from askback_server.ports.clock import DatabaseClock

_log = logging.getLogger("askback.server.engine")

INTERVAL = timedelta(minutes=10)
"""Time between two checkpoints of a namespace that changes."""
PAGE_EVENTS = 5_000
"""Events read by one statement."""
MAX_HEADS = 20_000
"""Jobs after which a round stores what it has read: 57 bytes each."""
SLACK = timedelta(hours=1)
"""Events that are older than the mark by this are covered: no transaction of the service runs for longer."""
KEEP = timedelta(days=400)
"""How long checkpoints are kept."""


class Checkpoints:
    """Makes checkpoints of what the log has since the last ones."""

    def __init__(self, store: CheckpointStore, clock: DatabaseClock, sign: Callable[[str], str]) -> None:
        """`sign` makes the statement of a payload."""
        self._store = store
        self._clock = clock
        self._sign = sign

    async def update(self) -> datetime | None:
        """Make checkpoints if the last ones are old enough, and delete those that are too old.

        Returns the time until which checkpoints cover the log: None before the first one, and when they
        cannot be signed. Raises StorageUnavailable.
        """
        mark = await self._store.mark()
        now = self._clock.now()
        if mark.at is not None and now - mark.at < INTERVAL:
            return mark.at - SLACK
        try:
            while (after := await self._make(mark)) is not None:
                mark, more = after
                if not more:
                    break
        except BadSigningKeys as error:
            _log.error("no checkpoint was made, because it cannot be signed: %s", error)
            return None
        await self._store.delete_before(now - KEEP)
        return now - SLACK if mark.at is not None else None

    async def _make(self, mark: CheckpointMark) -> tuple[CheckpointMark, bool] | None:
        """Make checkpoints of the next part of the log. Returns the new mark, and whether the log goes on;
        None if nothing is new, or another replica makes them."""
        heads: dict[str, dict[str, Head]] = {}
        end, more, count = mark.position, True, 0
        while more and count < MAX_HEADS:
            page = await self._store.heads_after(end, PAGE_EVENTS)
            for namespace, head in page.heads:
                known = heads.setdefault(namespace, {}).get(head.job_id)
                if known is None or known.seq < head.seq:
                    heads[namespace][head.job_id] = head
            end, more = page.end, page.more
            count = sum(map(len, heads.values()))
        if end == mark.position:
            return None
        at = self._clock.now()
        newest = await self._store.newest(heads)
        made = []
        for namespace, found in sorted(heads.items()):
            number, previous = newest.get(namespace, (0, ""))
            checkpoint, packed = make_checkpoint(namespace, found.values(), at, number + 1, previous)
            made.append(StoredCheckpoint(checkpoint, self._sign(checkpoint.to_json()), packed))
        after = CheckpointMark(end, at)
        return (after, more) if await self._store.add(mark, after, made) else None
