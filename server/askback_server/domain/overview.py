"""The figures of a namespace: open prompts by age, events by the hour, percentiles of answer times."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from math import ceil

from askback_server.domain.errors import InvalidField

AGES = (60.0, 300.0, 3_600.0, 86_400.0, 604_800.0)
"""Upper bounds in seconds of the age classes of open prompts; a last class has those older than all."""
BOUNDS = tuple(round(2 ** (at / 3), 3) for at in range(66))
"""Upper bounds in seconds of the buckets of answer times: 1 s to 38 days; a last bucket has longer times.
They never change, because stored counts name buckets by number."""
NO_TIME = -1
"""The bucket of an answer whose prompt was deleted before the answer was counted, or that a rule gave."""
MAX_TYPES = 100
"""Entries of a list by type, kind or priority."""
SHORTEST = timedelta(hours=1)
LONGEST = timedelta(days=30)
USUAL = timedelta(hours=24)
_STEPS = (1, 2, 3, 6, 12)
"""Hours of one point."""
_MAX_STEPS = 61
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Measure(StrEnum):
    """What is counted."""

    JOBS_CREATED = "jobs_created"
    JOBS_COMPLETED = "jobs_completed"
    JOBS_FAILED = "jobs_failed"
    JOBS_CANCELLED = "jobs_cancelled"
    PROMPTS_ASKED = "prompts_asked"
    PROMPTS_ANSWERED = "prompts_answered"
    """By a person; counted in buckets of answer times."""
    PROMPTS_DEFAULTED = "prompts_defaulted"
    PROMPTS_CARRIED = "prompts_carried"
    PROMPTS_EXPIRED = "prompts_expired"
    PROMPTS_WITHDRAWN = "prompts_withdrawn"


def bucket_of(seconds: float) -> int:
    """The number of the bucket of an answer time. A bound belongs to the bucket above it."""
    return bisect_right(BOUNDS, seconds)


def percentile(buckets: Mapping[int, int], ratio: float) -> timedelta | None:
    """Estimate the time within which `ratio` of the answers came; None without any.

    Within a bucket the answers count as spread evenly. Times above the last bound count as that bound.
    """
    known = sorted((bucket, n) for bucket, n in buckets.items() if bucket >= 0 and n > 0)
    total = sum(n for _, n in known)
    if not total:
        return None
    place = ratio * total
    sums = list(accumulate(n for _, n in known))
    at = min(bisect_left(sums, place), len(known) - 1)
    bucket, n = known[at]
    lower = BOUNDS[bucket - 1] if bucket else 0.0
    upper = BOUNDS[min(bucket, len(BOUNDS) - 1)]
    return timedelta(seconds=upper - (upper - lower) * (sums[at] - place) / n)


@dataclass(slots=True)
class Counts:
    """How often each thing happened, and the histogram of answer times."""

    by_measure: Counter[Measure] = field(default_factory=Counter)
    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, measure: Measure, bucket: int, n: int) -> None:
        """Count something `n` times."""
        self.by_measure[measure] += n
        if measure is Measure.PROMPTS_ANSWERED:
            self.buckets[bucket] += n

    @property
    def weight(self) -> int:
        """How much happened in all."""
        return self.by_measure.total()


@dataclass(frozen=True, slots=True)
class Window:
    """A time until now, in steps of full hours."""

    start: datetime
    end: datetime
    step: timedelta

    @classmethod
    def until(cls, now: datetime, span: timedelta | None) -> Window:
        """The window of a request. It starts with a full step, so points stay the same between two requests.

        Raises InvalidField.
        """
        span = USUAL if span is None else span
        if not SHORTEST <= span <= LONGEST:
            raise InvalidField.of("window", "must be from 1 hour to 30 days")
        hours = span / timedelta(hours=1)
        step = timedelta(hours=next(each for each in _STEPS if hours / each < _MAX_STEPS))
        return cls(now - span - (now - span - _EPOCH) % step, now, step)

    @property
    def starts(self) -> list[datetime]:
        """The begin of each step."""
        return [self.start + at * self.step for at in range(ceil((self.end - self.start) / self.step))]


@dataclass(slots=True)
class WaitingCounts:
    """Open prompts: in each age class, and without a present reviewer."""

    by_age: list[int] = field(default_factory=lambda: [0] * (len(AGES) + 1))
    unattended: int = 0

    @property
    def total(self) -> int:
        """How many of any age."""
        return sum(self.by_age)

    def add(self, by_age: Iterable[int], unattended: int) -> None:
        """Count further prompts."""
        self.by_age = [mine + more for mine, more in zip(self.by_age, by_age, strict=True)]
        self.unattended += unattended


@dataclass(frozen=True, slots=True)
class WaitingGroup:
    """The open prompts of one kind and priority."""

    kind: str
    priority: int
    by_age: tuple[int, ...]
    unattended: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """The open prompts that a caller may see."""

    all: WaitingCounts
    by_kind: dict[str, WaitingCounts]
    """The most frequent first."""
    by_priority: dict[int, WaitingCounts]
    """The highest first."""
    partial: bool
    """Whether there are more than were counted."""


def sum_waiting(groups: Iterable[WaitingGroup], partial: bool) -> Waiting:
    """Sum up groups of open prompts."""
    every = WaitingCounts()
    by_kind: dict[str, WaitingCounts] = {}
    by_priority: dict[int, WaitingCounts] = {}
    for group in groups:
        for counts in (
            every,
            by_kind.setdefault(group.kind, WaitingCounts()),
            by_priority.setdefault(group.priority, WaitingCounts()),
        ):
            counts.add(group.by_age, group.unattended)
    kinds = sorted(by_kind.items(), key=lambda pair: (-pair[1].total, pair[0]))
    priorities = sorted(by_priority.items(), reverse=True)
    return Waiting(every, dict(kinds[:MAX_TYPES]), dict(priorities[:MAX_TYPES]), partial)


@dataclass(frozen=True, slots=True)
class Activity:
    """What happened in a window."""

    window: Window
    points: tuple[Counts, ...]
    """One for each step."""
    total: Counts
    by_type: dict[tuple[str, str], Counts]
    """By job type and kind, the most frequent first."""
    counted_until: datetime | None


def sum_activity(
    window: Window,
    by_point: Iterable[tuple[int, Measure, int, int]],
    by_type: Iterable[tuple[str, str, Measure, int, int]],
    counted_until: datetime | None,
) -> Activity:
    """Sum up (step, measure, bucket, count) and (job type, kind, measure, bucket, count)."""
    total = Counts()
    points = tuple(Counts() for _ in window.starts)
    for at, measure, bucket, n in by_point:
        for counts in (total, points[at]):
            counts.add(measure, bucket, n)
    types: dict[tuple[str, str], Counts] = {}
    for job_type, kind, measure, bucket, n in by_type:
        types.setdefault((job_type, kind), Counts()).add(measure, bucket, n)
    most = sorted(types.items(), key=lambda pair: (-pair[1].weight, pair[0]))
    return Activity(window, points, total, dict(most[:MAX_TYPES]), counted_until)


@dataclass(frozen=True, slots=True)
class Connected:
    """Who is connected to a namespace, at all replicas."""

    consoles: int
    """Open views; equal views of one person count once."""
    people: int
    workers: int
