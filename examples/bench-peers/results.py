"""Ratios and tables: Askback against each peer, paired within a round."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loops import Turn
from systems import ASKBACK, System

UNITS = {"p50": "ms", "p99": "ms", "trips": "per s", "jobs": "per s"}
"""Units by metric. `p50` and `p99` are of trips one at a time; `trips` and `jobs` with 64 in flight."""
TITLES = {"p50": "p50 alone, ms", "p99": "p99 alone, ms", "trips": "trips/s", "jobs": "jobs/s"}

Round = Mapping[str, Sequence[Turn]]
"""The turns of a round by the names of the systems. A system that has failed is left out."""


@dataclass(frozen=True)
class Figure:
    """A metric of a system: the median of the rounds, the lowest and the highest."""

    system: str
    metric: str
    unit: str
    value: float
    low: float
    high: float
    rounds: int


@dataclass(frozen=True)
class Ratio:
    """How many times better Askback is than a peer: the median of the ratios of rounds, and their range.

    Of a time it is the peer's divided by Askback's; of a rate Askback's divided by the peer's. So above 1
    Askback is better, in each metric.
    """

    askback: str
    peer: str
    metric: str
    ratio: float
    low: float
    high: float
    rounds: int


def metrics_of(turns: Sequence[Turn]) -> dict[str, float]:
    """The metrics of a system in a round, from all its turns."""
    alone = sorted(ms for turn in turns for ms in turn.alone)
    return {
        "p50": statistics.median(alone),
        "p99": alone[len(alone) * 99 // 100],
        "trips": sum(turn.trips for turn in turns) / sum(turn.trips_seconds for turn in turns),
        "jobs": sum(turn.jobs for turn in turns) / sum(turn.jobs_seconds for turn in turns),
    }


def figures_of(rounds: Sequence[Round], system: str) -> list[Figure]:
    """The figures of a system, from the rounds that have it."""
    measured = [metrics_of(round[system]) for round in rounds if system in round]
    found = []
    for metric, unit in UNITS.items():
        if values := [metrics[metric] for metrics in measured]:
            middle = statistics.median(values)
            found.append(Figure(system, metric, unit, middle, min(values), max(values), len(values)))
    return found


def ratios_of(rounds: Sequence[Round], askback: str, peer: str) -> list[Ratio]:
    """The ratios of two systems, from the rounds that have both."""
    pairs = [(metrics_of(r[askback]), metrics_of(r[peer])) for r in rounds if askback in r and peer in r]
    found = []
    for metric, unit in UNITS.items():
        both = [(ours[metric], theirs[metric]) for ours, theirs in pairs]
        if values := [theirs / ours if unit == "ms" else ours / theirs for ours, theirs in both]:
            middle = statistics.median(values)
            found.append(Ratio(askback, peer, metric, middle, min(values), max(values), len(values)))
    return found


def all_ratios(rounds: Sequence[Round], systems: Sequence[System]) -> list[Ratio]:
    """The ratios of both databases of Askback against each peer."""
    peers = [system.name for system in systems if system.name not in ASKBACK]
    return [ratio for peer in peers for askback in ASKBACK for ratio in ratios_of(rounds, askback, peer)]


def report(rounds: Sequence[Round], systems: Sequence[System], skipped: Mapping[str, str]) -> str:
    """Markdown: the figures of all systems, the ratios, and what was skipped."""
    parts = [_figures_table(rounds, systems), _ratios_table(rounds, systems)]
    if skipped:
        parts.append("\n".join(f"- skipped {name}: {why}" for name, why in skipped.items()))
    return "\n\n".join(parts)


def _figures_table(rounds: Sequence[Round], systems: Sequence[System]) -> str:
    lines = [_line(["", *TITLES.values(), "n", "durable", "versions"])]
    lines.append("|---|" + "--:|" * (len(UNITS) + 1) + "---|---|")
    for system in systems:
        figures = {figure.metric: figure for figure in figures_of(rounds, system.name)}
        if figures:
            cells = [_with_range(figures[metric]) for metric in UNITS]
            alone = sum(len(turn.alone) for round in rounds for turn in round.get(system.name, ()))
            lines.append(_line([system.title, *cells, str(alone), system.durable, system.versions]))
    return "\n".join(lines)


def _ratios_table(rounds: Sequence[Round], systems: Sequence[System]) -> str:
    lines = [_line(["", "Askback on", *TITLES.values()]), "|---|---|" + "--:|" * len(UNITS)]
    for system in systems:
        for askback in ASKBACK:
            ratios = {ratio.metric: ratio for ratio in ratios_of(rounds, askback, system.name)}
            if ratios and system.name not in ASKBACK:
                cells = [_with_range(ratios[metric]) for metric in UNITS]
                lines.append(_line([system.title, askback.removeprefix("askback-"), *cells]))
    return "\n".join(lines)


def _with_range(of: Figure | Ratio) -> str:
    value = of.ratio if isinstance(of, Ratio) else of.value
    return f"{_number(value)} ({_number(of.low)}–{_number(of.high)})"


def _number(value: float) -> str:
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def to_json(
    machine: Mapping[str, Any], rounds: Sequence[Round], systems: Sequence[System], skipped: Mapping[str, str]
) -> str:
    """All of a run: the machine, the systems, figures, ratios, and the turns that they come from."""
    content = {
        "machine": machine,
        "systems": [asdict(system) for system in systems],
        "skipped": skipped,
        "figures": [asdict(figure) for system in systems for figure in figures_of(rounds, system.name)],
        "ratios": [asdict(ratio) for ratio in all_ratios(rounds, systems)],
        "rounds": [{name: [turn.as_json() for turn in turns] for name, turns in r.items()} for r in rounds],
    }
    return json.dumps(content, indent=1) + "\n"
