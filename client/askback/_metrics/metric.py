"""What a metric is: its name, kind, labels and meaning, and how to aggregate it over processes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of Prometheus metrics."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Across(StrEnum):
    """How to aggregate a metric over replicas."""

    SUM = "sum"
    """Each replica counts its own part: sum them."""
    MAX = "max"
    """Each replica reports the whole database: take the maximum, because a sum would count it once per
    replica."""
    EACH = "each"
    """Meaningful for one replica only; do not aggregate."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name` is without a counter's `_total`."""

    name: str
    kind: Kind
    help: str
    across: Across = Across.SUM
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def exposed(self) -> str:
        """The name as Prometheus shows it; a histogram has this with `_bucket`, `_sum` and `_count`."""
        return f"{self.name}_total" if self.kind is Kind.COUNTER else self.name


class Histogram:
    """A histogram: counts per bucket, and the sum of all values."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """Counts per bucket, not cumulative; the last bucket is above all bounds."""
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Add a value to its bucket."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value
