"""Watches how far the log can be read: one long transaction, in any database of the cluster, holds it back.

Nothing is lost then, and calls between replicas go on ahead of it; but resume tokens stand still, and
what is not called out waits. People should know who does it.
"""

from __future__ import annotations

import asyncio
import logging

from askback_server.domain.errors import StorageUnavailable
from askback_server.ports.storage import FeedStore, Holder

log = logging.getLogger(__name__)

POLL = 2.0
"""Seconds between two looks."""
ALARM = 5.0
"""Seconds of lag that are too long."""
REMIND = 300.0
"""Seconds after which an alarm that goes on is given again."""


class HorizonWatch:
    """`lag` is the age in seconds of the oldest commit that the log does not give yet."""

    def __init__(self, store: FeedStore) -> None:
        self._store = store
        self._told_at = 0.0
        """The lag at which people were told last; 0 when all is well."""
        self.lag = 0.0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except StorageUnavailable:
                self.lag = 0.0  # nothing can be said; that it is down others say
            except Exception:
                log.exception("reading the lag of the feed failed")
            await asyncio.sleep(POLL)

    async def look(self) -> None:
        """Look once, and say what is to be said. Raises StorageUnavailable."""
        self.lag = await self._store.settle_lag()
        if self.lag > ALARM:
            if not self._told_at or self.lag > self._told_at + REMIND:
                self._told_at = self.lag
                self._tell(await self._store.holder())
        elif self._told_at:
            self._told_at = 0.0
            log.info("the feed has caught up: no transaction holds it back")

    def _tell(self, holder: Holder | None) -> None:
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
        text = "commits of %.0f s ago cannot be read in order yet, for an older transaction runs: %s"
        log.warning(text, self.lag, who, extra=named)
