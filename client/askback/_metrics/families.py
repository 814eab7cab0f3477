"""Metric families in the form that the library of Prometheus exposes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import (
    Metric as Family,
)

from askback._metrics.metric import Histogram, Metric

__all__ = ["Family", "Numbers", "counter", "gauge", "gauges", "histogram"]

Numbers = Mapping[tuple[str, ...], float]
"""Values by label values."""


def gauge(metric: Metric, value: float) -> Family:
    """A gauge without labels."""
    return GaugeMetricFamily(metric.name, metric.help, value=value)


def gauges(metric: Metric, found: Numbers) -> Family:
    """A gauge by its labels."""
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in found.items():
        family.add_metric(labels, value)
    return family


def counter(metric: Metric, found: Numbers) -> Family:
    """A counter by its labels; those of one without labels are `()`."""
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in found.items():
        family.add_metric(labels, value)
    return family


def histogram(metric: Metric, found: Mapping[tuple[str, ...], Histogram]) -> Family:
    """A histogram by its labels."""
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds: Sequence[str] = [*(f"{bound:g}" for bound in metric.buckets), "+Inf"]
    for labels, histogram in found.items():
        buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
        family.add_metric(labels, buckets, histogram.total)
    return family
