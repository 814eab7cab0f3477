"""Figures of the measurements of one server."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.drive import Measurements, Window

Figures = dict[str, float]


def percentile(times: Sequence[float], share: int) -> float:
    """A percentile of unsorted values."""
    return sorted(times)[min(len(times) - 1, len(times) * share // 100)]


def figures(measured: Measurements) -> Figures:
    """The figures of a run by name: times in ms, CPU in µs per trip, `other_cpu` in CPUs."""
    found: Figures = {}
    if measured.alone:
        found["alone_p50_ms"] = percentile(measured.alone, 50)
        found["alone_p99_ms"] = percentile(measured.alone, 99)
    if measured.loaded is not None:
        found |= _window(measured.loaded)
    if measured.jobs is not None:
        found["jobs_s"] = measured.jobs.count / measured.jobs.seconds
        found["job_server_cpu_us"] = measured.jobs.server_cpu / measured.jobs.count
        found["job_p50_ms"] = percentile(measured.jobs.times, 50)
    return found


def _window(window: Window) -> Figures:
    found = {
        "trips_s": window.count / window.seconds,
        "p50_ms": percentile(window.times, 50),
        "p99_ms": percentile(window.times, 99),
        "server_cpu_us": window.server_cpu / window.count,
        "client_cpu_us": window.client_cpu / window.count,
        "bytes_in": window.bytes_in,
        "other_cpu": window.other_cpu / window.seconds / 1_000_000,
    }
    if window.db_cpu:
        found["db_cpu_us"] = window.db_cpu / window.count
    return found
