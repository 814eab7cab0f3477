"""Knows which sign-in sessions have ended, from memory: each call asks, and none reads the database.

Each replica reads the new sign-outs of the others every `INTERVAL_SECONDS`. While the database is away it
goes by what it has read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from askback_server.domain.errors import LimitExceeded
from askback_server.domain.limits import Limits
from askback_server.domain.sign_outs import SignOut, make_sign_out
from askback_server.engine.periodic import every
from askback_server.ports.clock import DatabaseClock
from askback_server.ports.sign_outs import SignOutStore

INTERVAL_SECONDS = 2.0
"""Seconds between two reads of the sign-outs of other replicas."""
OVERLAP = timedelta(minutes=10)
"""Each read goes back this far behind the newest known sign-out. A row may appear 20 s after its time (the
longest statement), and after a failover times may be of another clock."""


class SignOuts:
    """The ended sessions that would still go on."""

    def __init__(self, store: SignOutStore, clock: DatabaseClock, limits: Limits) -> None:
        self._store = store
        self._clock = clock
        self._maximum = limits.sign_outs_per_subject
        self._expiry: dict[tuple[str, str], datetime] = {}
        self._by_subject: Counter[str] = Counter()
        self._newest: datetime | None = None
        self.generation: object = object()
        """Replaced whenever a further session has ended."""

    def is_ended(self, subject: str, session_id: str) -> bool:
        """Whether this session of this subject has ended."""
        return (subject, session_id) in self._expiry

    async def end(self, subject: str, session_id: str, expires_at: datetime | None) -> None:
        """End a session: at this replica at once. `expires_at`: when it is over in any case.

        Raises InvalidField, LimitExceeded, StorageUnavailable.
        """
        sign_out = make_sign_out(subject, session_id, expires_at, self._clock.now())
        if sign_out.expires_at <= self._clock.now():
            return
        if self._by_subject[subject] >= self._maximum and not self.is_ended(subject, session_id):
            text = "you have ended too many sessions that are not over yet; wait until some are"
            raise LimitExceeded(text, limit="sign_outs_per_subject", value=self._maximum)
        await self._store.add(sign_out)
        self._learn([sign_out])

    async def load(self) -> None:
        """Read what other replicas have stored, and forget what has expired. Raises StorageUnavailable."""
        self._forget_expired()
        since = self._newest and self._newest - OVERLAP
        stored = await self._store.list_since(since)
        self._newest = max((each.stored_at for each in stored), default=self._newest)
        now = self._clock.now()
        self._learn(each.sign_out for each in stored if each.sign_out.expires_at > now)

    async def run(self) -> None:
        """Read again and again until cancelled. Errors are logged."""
        await every(INTERVAL_SECONDS, self.load, "sign-outs")

    def _learn(self, found: Iterable[SignOut]) -> None:
        for each in found:
            key = each.subject, each.session_id
            if key not in self._expiry:
                self._by_subject[each.subject] += 1
                self.generation = object()
            self._expiry[key] = max(each.expires_at, self._expiry.get(key, each.expires_at))

    def _forget_expired(self) -> None:
        now = self._clock.now()
        for key in [key for key, expires_at in self._expiry.items() if expires_at <= now]:
            del self._expiry[key]
            self._by_subject[key[0]] -= 1
            if not self._by_subject[key[0]]:
                del self._by_subject[key[0]]
