"""Collect the metrics of a replica when Prometheus scrapes it.

The library of Prometheus calls from its own thread; all values are read in the event loop that changes them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import accumulate
from time import monotonic

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import (
    Metric as Family,
)
from prometheus_client.registry import Collector

from askback_server.domain.errors import StorageUnavailable
from askback_server.metrics import catalogue as c
from askback_server.metrics.meter import Histogram, Meter, Names
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
COLLECT_TIMEOUT = 10.0
"""Timeout in seconds for the event loop to start and finish a collection."""


@dataclass(frozen=True, slots=True)
class DatabaseCounts:
    """The counts of one query of the database; without `census` if it failed."""

    at: float
    census: Census | None = None
    feed_lag: float = 0.0


class ReplicaCollector(Collector):
    """All metrics of one replica. Create it in the event loop of the replica."""

    def __init__(self, replica: Replica, server: Server, census: CensusStore, meter: Meter) -> None:
        self._loop = asyncio.get_running_loop()
        self._replica = replica
        self._server = server
        self._census = census
        self._meter = meter
        self._counting = asyncio.Lock()
        self._counts = DatabaseCounts(float("-inf"))
        self._version = version("askback")

    def collect(self) -> Iterable[Family]:
        """All metric families; none if the event loop is too busy. Called from another thread."""
        reading = asyncio.run_coroutine_threadsafe(self._read(monotonic()), self._loop)
        try:
            return reading.result(COLLECT_TIMEOUT)
        except TimeoutError:
            reading.cancel()
            _log.warning("the event loop is too busy: metrics were not read within %g s", COLLECT_TIMEOUT)
            return ()

    async def _read(self, asked: float) -> list[Family]:
        lag = monotonic() - asked
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
        yield _gauge(c.READY, float(self._server.ready))
        yield _gauge(c.QUEUE_COMMANDS, self._replica.engine.waiting)
        yield _gauge(c.HOT_JOBS, len(hot))
        yield _counter(c.HOT_LOOKUPS, {("hit",): hot.hits, ("miss",): hot.misses})
        yield _counter(c.CALLS, {(_method(m), code): n for (m, code), n in calls.ended.items()})
        yield _gauges(c.STREAMS, {(_method(m),): n for m, n in calls.streams.by_method.items()})
        yield _gauge(c.FEED_LIVE, float(hot.is_live))
        yield _gauge(c.FEED_HELD_BACK, self._replica.horizon.lag)
        yield _gauge(c.WAKEUPS_HEARD, float(self._replica.feed.wakeups.live))
        yield _gauge(c.LOOP_LAG, lag)
        pool = self._census.connections()
        yield _gauges(c.DATABASE_CONNECTIONS, {(state,): n for state, n in pool.items()})
        yield _gauges(c.BUILD_INFO, {(self._version, self._replica.replica): 1})

    def _meter_families(self) -> Iterator[Family]:
        """Counters of this replica since its start."""
        meter = self._meter
        yield _histogram(c.BATCH_COMMANDS, {(): meter.batch_commands})
        yield _histogram(c.COMMIT_SECONDS, {(): meter.commit_seconds})
        yield _counter(c.BATCHES_FAILED, {(): meter.batches_failed})
        yield _counter(c.GUARDS_LOST, _single(meter.guards_lost))
        yield _counter(c.PROMPTS_ASKED, _single(meter.asked))
        yield _counter(c.PROMPTS_RESOLVED, meter.resolved)
        yield _counter(c.ANSWERS_REFUSED, _single(meter.refused))
        yield _histogram(c.ANSWER_SECONDS, {(k,): h for k, h in meter.answer_seconds.items()})
        yield _counter(c.JOBS_CREATED, _single(meter.created))
        yield _counter(c.JOBS_ENDED, meter.ended)
        yield _counter(c.LEASES_LOST, _single(meter.leases_lost))

    def _database_families(self, counts: DatabaseCounts) -> Iterator[Family]:
        """Counts of the whole database; only DATABASE_UP while it is unavailable."""
        yield _gauge(c.DATABASE_UP, float(counts.census is not None))
        if counts.census is None:
            return
        census, kinds, types = counts.census, self._meter.kinds, self._meter.job_types
        yield _gauge(c.FEED_LAG, counts.feed_lag)
        yield _gauge(c.WORKER_SESSIONS, census.sessions)
        yield _gauge(c.COUNTS_PARTIAL, float(census.partial))
        ages: Numbers = {
            (of.kind, age): n
            for of in census.prompts
            for age, n in zip(c.AGE_CLASSES, of.by_age, strict=True)
        }
        yield _gauges(c.OPEN_PROMPTS, _limit_labels(ages, kinds))
        missed: Numbers = {(of.kind,): of.unattended for of in census.prompts}
        yield _gauges(c.UNATTENDED_PROMPTS, _limit_labels(missed, kinds))
        waited: Numbers = {(of.kind,): of.oldest for of in census.prompts}
        yield _gauges(c.OLDEST_PROMPT, _limit_labels(waited, kinds, max))
        yield _gauges(c.JOBS_RUNNABLE, _limit_labels({(r.job_type,): r.jobs for r in census.runnable}, types))
        oldest: Numbers = {(r.job_type,): r.oldest for r in census.runnable}
        yield _gauges(c.OLDEST_RUNNABLE, _limit_labels(oldest, types, max))
        yield _gauges(c.JOBS_HELD, _limit_labels(_single(census.held), types))


Numbers = Mapping[tuple[str, ...], float]
"""Values by label values."""


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


def _gauge(metric: c.Metric, value: float) -> Family:
    return GaugeMetricFamily(metric.name, metric.help, value=value)


def _gauges(metric: c.Metric, found: Numbers) -> Family:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in found.items():
        family.add_metric(labels, value)
    return family


def _counter(metric: c.Metric, found: Numbers) -> Family:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in found.items():
        family.add_metric(labels, value)
    return family


def _histogram(metric: c.Metric, found: Mapping[tuple[str, ...], Histogram]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds: Sequence[str] = [*(f"{bound:g}" for bound in metric.buckets), "+Inf"]
    for labels, histogram in found.items():
        buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
        family.add_metric(labels, buckets, histogram.total)
    return family
