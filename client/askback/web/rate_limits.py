"""Limits on how often a client may ask, so that one cannot take the gateway down for others.

The service has its own limits for each principal. These are checked before anything is parsed or forwarded.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from askback.web.callers import Caller
from askback.web.refused import Refused

MAX_CLIENTS = 10_000
"""Clients that are remembered. Above it the one that was quiet for longest is forgotten."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something may happen."""

    per_second: float
    burst: int
    """How often at once, after a pause."""


REQUESTS = Rate(50.0, 200)
"""Requests of one person. A page sends a few at a press."""
FAILED_SIGN_INS = Rate(1 / 6, 10)
"""Failed attempts to sign in from one address, those counted that are still being checked."""
SIGN_INS_AT_ONCE = 32
"""Attempts to sign in that one gateway checks at the same time, whatever their addresses."""
SOCKETS_PER_PERSON = 20
"""WebSockets and event streams that one person may have open at one gateway: one per tab."""


class Bucket:
    """A token bucket for one client."""

    __slots__ = ("_left", "_rate", "_since")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._left = float(rate.burst)
        self._since = now

    def wait(self, now: float) -> float:
        """Seconds until there is room for one more; 0 if there is."""
        self._left = min(self._rate.burst, self._left + (now - self._since) * self._rate.per_second)
        self._since = now
        return 0.0 if self._left >= 1 else (1 - self._left) / self._rate.per_second

    def give_back(self) -> None:
        """Count one less."""
        self._left = min(self._rate.burst, self._left + 1)

    def take(self, now: float) -> float:
        """Count one more. Returns the seconds until there is room, and counts nothing, if there is none."""
        wait = self.wait(now)
        if not wait:
            self._left -= 1
        return wait


class RateLimit:
    """A rate for each client. What a client is, the caller decides: a person, or an address."""

    def __init__(self, rate: Rate, what: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._what = what
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def count(self, client: str) -> None:
        """Count one of this client. Raises Refused if there were too many."""
        self._refuse(self._bucket(client).take(self._monotonic()))

    def give_back(self, client: str) -> None:
        """Take back one that was counted."""
        if client in self._buckets:
            self._buckets[client].give_back()

    def _bucket(self, client: str) -> Bucket:
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = self._buckets[client] = Bucket(self._rate, self._monotonic())
            if len(self._buckets) > MAX_CLIENTS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(client)
        return bucket

    def _refuse(self, wait: float) -> None:
        if wait:
            raise Refused(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"too many {self._what}; wait {wait:.0f} s"
                if wait >= 1
                else f"too many {self._what} at once",
                "RATE_LIMIT",
                retry_after=wait,
            )


class AtOnce:
    """A limit on how many of something run at the same time."""

    def __init__(self, maximum: int, what: str) -> None:
        self._free = maximum
        self._what = what

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one more while it runs. Raises Refused."""
        if not self._free:
            text = f"too many {self._what} at once; try again in a moment"
            raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, text, "RATE_LIMIT", retry_after=1.0)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


class SocketCounts:
    """Counts open WebSockets and event streams by person."""

    def __init__(self, per_person: int = SOCKETS_PER_PERSON) -> None:
        self._per_person = per_person
        self._open: Counter[str] = Counter()

    @contextmanager
    def opened(self, caller: Caller) -> Iterator[None]:
        """Count one more while it is open. Raises Refused."""
        key = caller.key
        if self._open[key] >= self._per_person:
            text = f"you have {self._per_person} pages open here; close some first"
            raise Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, text, "TOO_MANY_SOCKETS", retry_after=5.0)
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]
