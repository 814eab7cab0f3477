"""Collect the metrics of a replica when Prometheus scrapes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from time import monotonic

from askback._metrics.exposition import LoopCollector
from askback._metrics.families import Family, Numbers, counter, gauge, gauges, histogram
from askback_server.domain.errors import StorageUnavailable
from askback_server.metrics import catalogue as c
from askback_server.metrics.meter import Meter, Names
from askback_server.ports.census import Census, CensusStore
from askback_server.sessions.replica import Replica
from askback_server.transport.server import Server

_log = logging.getLogger("askback.server.metrics")

CACHE_SECONDS = 5.0
"""Seconds for which database counts are reused, however many scrapers there are."""
MAX_ROWS = 100_000
"""Maximum number of rows counted per table."""
COUNT_TIMEOUT = 5.0
"""Timeout of the database counts in seconds."""


@dataclass(frozen=True, slots=True)
class DatabaseCounts:
    """The counts of one query of the database; without `census` if it failed."""

    at: float
    census: Census | None = None
    feed_lag: float = 0.0


class ReplicaCollector(LoopCollector):
    """All metrics of one replica. Create it in the event loop of the replica."""

    def __init__(self, replica: Replica, server: Server, census: CensusStore, meter: Meter) -> None:
        super().__init__()
        self._replica = replica
        self._server = server
        self._census = census
        self._meter = meter
        self._counting = asyncio.Lock()
        self._counts = DatabaseCounts(float("-inf"))
        self._version = version("askback")

    async def read(self, lag: float) -> list[Family]:
        """All metric families."""
        counts = await self._read_database()
        return [*self._replica_families(lag), *self._meter_families(), *self._database_families(counts)]

    async def _read_database(self) -> DatabaseCounts:
        async with self._counting:
            if monotonic() - self._counts.at >= CACHE_SECONDS:
                try:
                    async with asyncio.timeout(COUNT_TIMEOUT):
                        census = await self._census.take(MAX_ROWS)
                        behind = await self._census.behind(self._replica.feed.position)
                    self._counts = DatabaseCounts(monotonic(), census, behind)
                except (StorageUnavailable, TimeoutError) as error:
                    _log.warning("the database is not counted: %s", str(error) or "it does not answer")
                    self._counts = DatabaseCounts(monotonic())
                except Exception:
                    _log.exception("counting in the database failed")
                    self._counts = DatabaseCounts(monotonic())
            return self._counts

    def _replica_families(self, lag: float) -> Iterator[Family]:
        """The current state of the replica."""
        hot, calls = self._replica.engine.hot, self._server.calls
        yield gauge(c.READY, float(self._server.ready))
        yield gauge(c.QUEUE_COMMANDS, self._replica.engine.waiting)
        yield gauge(c.HOT_JOBS, len(hot))
        yield counter(c.HOT_LOOKUPS, {("hit",): hot.hits, ("miss",): hot.misses})
        yield counter(c.CALLS, {(_method(m), code): n for (m, code), n in calls.ended.items()})
        yield gauges(c.STREAMS, {(_method(m),): n for m, n in calls.streams.by_method.items()})
        yield gauge(c.FEED_LIVE, float(hot.is_live))
        yield gauge(c.FEED_HELD_BACK, self._replica.horizon.lag)
        yield gauge(c.WAKEUPS_HEARD, float(self._replica.feed.wakeups.live))
        yield gauge(c.LOOP_LAG, lag)
        pool = self._census.connections()
        yield gauges(c.DATABASE_CONNECTIONS, {(state,): n for state, n in pool.items()})
        yield gauges(c.BUILD_INFO, {(self._version, self._replica.replica): 1})

    def _meter_families(self) -> Iterator[Family]:
        """Counters of this replica since its start."""
        meter = self._meter
        yield histogram(c.BATCH_COMMANDS, {(): meter.batch_commands})
        yield histogram(c.COMMIT_SECONDS, {(): meter.commit_seconds})
        yield counter(c.BATCHES_FAILED, {(): meter.batches_failed})
        yield counter(c.GUARDS_LOST, _single(meter.guards_lost))
        yield counter(c.PROMPTS_ASKED, _single(meter.asked))
        yield counter(c.PROMPTS_RESOLVED, meter.resolved)
        yield counter(c.ANSWERS_REFUSED, _single(meter.refused))
        yield counter(c.RULE_ERRORS, {(): meter.rule_errors})
        yield histogram(c.ANSWER_SECONDS, {(k,): h for k, h in meter.answer_seconds.items()})
        yield counter(c.JOBS_CREATED, _single(meter.created))
        yield counter(c.JOBS_ENDED, meter.ended)
        yield counter(c.LEASES_LOST, _single(meter.leases_lost))

    def _database_families(self, counts: DatabaseCounts) -> Iterator[Family]:
        """Counts of the whole database; only DATABASE_UP while it is unavailable."""
        yield gauge(c.DATABASE_UP, float(counts.census is not None))
        if counts.census is None:
            return
        census, kinds, types = counts.census, self._meter.kinds, self._meter.job_types
        yield gauge(c.FEED_LAG, counts.feed_lag)
        yield gauge(c.WORKER_SESSIONS, census.sessions)
        yield gauge(c.COUNTS_PARTIAL, float(census.partial))
        ages: Numbers = {
            (of.kind, age): n
            for of in census.prompts
            for age, n in zip(c.AGE_CLASSES, of.by_age, strict=True)
        }
        yield gauges(c.OPEN_PROMPTS, _limit_labels(ages, kinds))
        missed: Numbers = {(of.kind,): of.unattended for of in census.prompts}
        yield gauges(c.UNATTENDED_PROMPTS, _limit_labels(missed, kinds))
        waited: Numbers = {(of.kind,): of.oldest for of in census.prompts}
        yield gauges(c.OLDEST_PROMPT, _limit_labels(waited, kinds, max))
        yield gauges(c.JOBS_RUNNABLE, _limit_labels({(r.job_type,): r.jobs for r in census.runnable}, types))
        oldest: Numbers = {(r.job_type,): r.oldest for r in census.runnable}
        yield gauges(c.OLDEST_RUNNABLE, _limit_labels(oldest, types, max))
        yield gauges(c.JOBS_HELD, _limit_labels(_single(census.held), types))


def _limit_labels(
    found: Numbers, names: Names, join: Callable[[float, float], float] = lambda a, b: a + b
) -> Numbers:
    """Bound the values of the first label; numbers whose labels become equal are combined by `join`."""
    joined: dict[tuple[str, ...], float] = {}
    for (name, *rest), number in found.items():
        labels = (names.label(name), *rest)
        joined[labels] = join(joined[labels], number) if labels in joined else number
    return joined


def _single(found: Mapping[str, float]) -> Numbers:
    return {(name,): number for name, number in found.items()}


def _method(path: str) -> str:
    """Strip the package: `/askback.v1.JobService/CreateJob` becomes `JobService/CreateJob`."""
    return path.removeprefix("/askback.v1.")
