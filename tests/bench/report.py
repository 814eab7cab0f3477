"""Figures of runs, medians of repeats, and their tables."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from tests.bench.drive import Measurements, Window

P50_BELOW_MS = 3.0
TRIPS_ABOVE = 1_500.0

Figures = dict[str, float]

_COLUMNS = (
    ("alone_p50_ms", "p50 ms", 2),
    ("alone_p99_ms", "p99 ms", 2),
    ("trips_s", "trips/s", 0),
    ("p50_ms", "p50 ms", 1),
    ("p99_ms", "p99 ms", 1),
    ("server_cpu_us", "server", 0),
    ("db_cpu_us", "db", 0),
    ("client_cpu_us", "client", 0),
    ("bytes_in", "bytes", 0),
    ("jobs_s", "jobs/s", 0),
    ("other_cpu", "others", 2),
)


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


def medians(runs: Sequence[Figures]) -> Figures:
    """The median of each figure over the repeats."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: statistics.median(run[name] for run in runs if name in run) for name in names}


def ratios(of: Figures, floor: Figures) -> Figures:
    """Each figure divided by the floor's."""
    return {name: value / floor[name] for name, value in of.items() if floor.get(name)}


def table(by_target: Mapping[str, Figures]) -> str:
    """A table of all targets, then their ratios to the floor."""
    widths = [max(len(title), 7) for _, title, _ in _COLUMNS]
    titles = " ".join(title.rjust(width) for (_, title, _), width in zip(_COLUMNS, widths, strict=True))
    groups = ("one at a time", 2), ("64 in flight", 3), ("CPU µs a trip", 3)
    head = " ".join(("-" * ((n * 8 - 2 - len(g)) // 2) + f" {g} ").ljust(n * 8 - 1, "-") for g, n in groups)
    lines = [" " * 16 + head, " " * 16 + titles]
    for target, found in by_target.items():
        lines.append(target.ljust(16) + _cells(found, widths, [digits for *_, digits in _COLUMNS]))
    floor = by_target.get("floor")
    for target, found in by_target.items():
        if floor is not None and target != "floor":
            of = ratios(found, floor)
            of.pop("other_cpu", None)
            lines.append(f"{target}/floor".ljust(16) + _cells(of, widths, [2] * len(widths)))
    return "\n".join(lines)


def _cells(found: Figures, widths: Sequence[int], digits: Sequence[int]) -> str:
    cells = []
    for (name, *_), width, places in zip(_COLUMNS, widths, digits, strict=True):
        value = found.get(name)
        cells.append(("-" if value is None else f"{value:,.{places}f}").rjust(width))
    return " ".join(cells)


def verdicts(by_target: Mapping[str, Figures]) -> list[tuple[bool, str]]:
    """For each database and target: whether it is met, and a line that says so."""
    lines = []
    for target, found in by_target.items():
        if target == "floor":
            continue
        if "alone_p50_ms" in found:
            p50 = found["alone_p50_ms"]
            lines.append(
                (p50 < P50_BELOW_MS, f"{target}: one at a time p50 {p50:.2f} ms < {P50_BELOW_MS} ms")
            )
        trips = found["trips_s"]
        lines.append(
            (trips > TRIPS_ABOVE, f"{target}: 64 in flight {trips:,.0f} trips/s > {TRIPS_ABOVE:,.0f}")
        )
    return lines
