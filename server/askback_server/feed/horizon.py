"""Warns when a long transaction holds the feed back.

The log can be read in order only up to the oldest running transaction, in any database of the cluster. While
one runs for long, nothing is lost and announcements still work, but resume tokens do not advance, and changes
whose announcement was lost are delayed. The warning names the transaction.
"""

from __future__ import annotations

import asyncio
import logging

from askback_server.domain.errors import StorageUnavailable
from askback_server.ports.storage import FeedStore, Holder

_log = logging.getLogger("askback.server.feed")

POLL_SECONDS = 2.0
"""Seconds between two checks."""
WARN_SECONDS = 5.0
"""Seconds of lag after which to warn."""
REPEAT_SECONDS = 300.0
"""Seconds after which to repeat the warning."""


class HorizonWatch:
    """Checks the lag: `lag` is the age in seconds of the oldest commit that the log does not deliver yet."""

    def __init__(self, store: FeedStore) -> None:
        self._store = store
        self._warned_at = 0.0
        """The lag at the last warning; 0 if there is none."""
        self.lag = 0.0

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.check()
            except StorageUnavailable:
                self.lag = 0.0  # unknown; the feed logs that the database is down
            except Exception:
                _log.exception("reading the lag of the feed failed")

    async def check(self) -> None:
        """Check once, and log a warning or its end. Raises StorageUnavailable."""
        self.lag = await self._store.settle_lag()
        if self.lag > WARN_SECONDS:
            if not self._warned_at or self.lag > self._warned_at + REPEAT_SECONDS:
                self._warned_at = self.lag
                self._warn(await self._store.holder())
        elif self._warned_at:
            self._warned_at = 0.0
            _log.info("the feed has caught up: no transaction holds it back")

    def _warn(self, holder: Holder | None) -> None:
        named: dict[str, object] = {"lag": round(self.lag, 1)}
        if holder is None:
            who = "it has just ended"
        elif holder.prepared:
            who = f"it is the prepared transaction {holder.prepared!r} of {holder.user}"
        else:
            name = holder.application or "no application name"
            age = "how old is hidden from this role" if holder.age is None else f"{holder.age:.0f} s old"
            who = f"it is that of process {holder.pid} ({name}, {holder.user}), {age}"
            named["pid"] = holder.pid
        text = "commits of %.0f s ago cannot be read in order yet: an older transaction is running; %s"
        _log.warning(text, self.lag, who, extra=named)
