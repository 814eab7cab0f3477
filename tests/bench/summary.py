"""The report of the bench: rows, tables and verdicts of all rounds."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence

from tests.bench import paired
from tests.bench.paired import Row, Target, Verdict
from tests.bench.report import percentile
from tests.bench.rounds import CASES, UNITS, Measured

TARGETS = (
    Target("alone", "sqlite", "p50", 1.2),
    Target("alone", "sqlite", "p99_to_p50", 4.0, of="value"),
    Target("trips", "sqlite", "rate", 0.6, "least"),
    Target("trips", "sqlite", "server_cpu", 1.7),
    Target("jobs-stream", "sqlite", "rate", 0.65, "least"),
    Target("jobs-unary", "sqlite", "rate", 0.65, "least"),
    Target("alone", "postgres", "p50", 1.3),
    Target("alone", "postgres", "p99_to_p50", 4.0, of="value"),
    Target("trips", "postgres", "rate", 0.55, "least"),
    Target("trips", "postgres", "server_cpu", 2.1),
    Target("trips", "postgres", "database_cpu", 1.6),
    Target("jobs-stream", "postgres", "rate", 0.65, "least"),
    Target("jobs-unary", "postgres", "rate", 0.65, "least"),
)
"""Of Askback, as ratios to the durable floor of the run."""

FLOORS = (
    Target("floor/alone", "sqlite", "p50", 1.9),
    Target("floor/trips", "sqlite", "rate", 0.65, "least"),
    Target("floor/alone", "postgres", "p50", 2.5),
    Target("floor/trips", "postgres", "rate", 0.66, "least"),
)
"""Of the durable floor, as ratios to the bare floor: measured on 2 cores with an fdatasync of 0.16 ms. That
of p50 depends on the disk."""
FLOOR_TOLERANCE = 1.25
"""A floor that is slower by more than this factor is reported: it would make Askback look fast."""

Round = Mapping[str, Measured]
"""What a round has measured, by the roles of the servers."""


class Report:
    """The rows of all rounds, and what they say."""

    def __init__(self, found: Mapping[str, Sequence[Round]], *, against: bool = False) -> None:
        self._found = found
        self.rows: list[Row] = []
        for database, rounds in found.items():
            self.rows += _rows("", database, rounds, "askback", "floor")
            self.rows += _rows("floor/", database, rounds, "floor", "bare")
            self.rows += _rows("aa/", database, rounds, "askback", "twin")
            if against:
                self.rows += _rows("against/", database, rounds, "askback", "other")
        self._by_name = paired.by_name(self.rows)
        self._against = against

    def text(self) -> str:
        """A table for each database, and the noise of the run."""
        return "\n\n".join(self._of_database(name) for name in self._found)

    def _of_database(self, database: str) -> str:
        rounds = self._found[database]
        others = statistics.median(m.others for round in rounds for m in round.values())
        return (
            f"{database}: {len(rounds)} paired rounds. Ratios are medians of the ratios of rounds, with the "
            f"range. Other processes used {others:.1f} of {os.cpu_count()} CPUs. The resolution is from the "
            "A/A check (Askback against itself in the same rounds): a smaller change of Askback is "
            f"noise.\n\n{self._table(database)}"
        )

    def _table(self, database: str) -> str:
        """Markdown: each metric of Askback, of the durable floor and of the bare floor."""
        titles = ["", "Askback", "durable floor", "ratio", "range", "target", "A/A", "resolution"]
        titles += ["bare floor", "durable / bare", "range"]
        if self._against:
            titles += ["this / other", "range"]
        lines = [_line(titles), "|---|" + "--:|" * (len(titles) - 1)]
        for row in self.rows:
            if row.database == database and "/" not in row.case:
                lines.append(_line(self._cells(row)))
        return "\n".join(lines)

    def _cells(self, row: Row) -> list[str]:
        target = next((t for t in TARGETS if _name(t) == _name(row)), None)
        verdict = "" if target is None else f"{target} {self._judge(row, target)}"
        same = self._by_name.get((f"aa/{row.case}", row.database, row.metric))
        resolution = None if same is None else self._resolution(same)
        cells = [f"{row.case} {row.metric}, {row.unit}", _number(row.value), _number(row.floor)]
        cells += [f"{row.ratio:.2f}", _range(row), verdict]
        cells += [_range(same) if same else "", "" if resolution is None else f"{100 * resolution:.0f} %"]
        floor = self._by_name.get((f"floor/{row.case}", row.database, row.metric))
        cells += [_number(floor.floor), f"{floor.ratio:.2f}", _range(floor)] if floor else ["", "", ""]
        if self._against:
            other = self._by_name.get((f"against/{row.case}", row.database, row.metric))
            cells += [f"{other.ratio:.2f}", _range(other)] if other else ["", ""]
        return cells

    def _judge(self, row: Row, target: Target) -> Verdict:
        """The verdict on a row; none on a p99 of too few trips."""
        trips = sum(len(round["askback"].alone) for round in self._found[row.database])
        if target.metric == "p99_to_p50" and trips < paired.LEAST_TRIPS:
            return "----"
        return paired.judge(row, target)

    def _resolution(self, row: Row) -> float | None:
        case = row.case.removeprefix("aa/")
        return paired.resolution(*_pairs(self._found[row.database], "askback", "twin", case, row.metric))

    def verdicts(self) -> list[tuple[Verdict, str]]:
        """For each target that was measured: the verdict, and a line that says so. Then the floors."""
        found: list[tuple[Verdict, str]] = []
        for target in TARGETS:
            row = self._by_name.get(_name(target))
            if row is None:
                continue
            verdict = self._judge(row, target)
            what = f"{target.database} {target.case} {target.metric}"
            value = f"{row.ratio:.2f} of the durable floor, {_range(row)}"
            if target.of == "value":
                value = f"{row.value:.2f} (durable floor {row.floor:.2f})"
            why = ": too few rounds for a verdict" if verdict == "----" else ""
            found.append((verdict, f"{verdict} {what}: {value}; target {target}{why}"))
        return [*found, *self._floor_checks()]

    def _floor_checks(self) -> list[tuple[Verdict, str]]:
        """Whether the durable floors are as fast as they should be."""
        found: list[tuple[Verdict, str]] = []
        for target in FLOORS:
            row = self._by_name.get(_name(target))
            if row is None:
                continue
            slower = row.ratio / target.limit if target.at == "most" else target.limit / row.ratio
            state = "ok" if slower <= FLOOR_TOLERANCE else "SLOW"
            line = (
                f"floor {state}: {target.database} {target.case[6:]} {target.metric} is {row.ratio:.2f} of "
                f"bare grpc.aio, {_range(row)}; measured before {target.limit:g}"
            )
            if state == "SLOW":
                line += ". Repeat on a quiet machine with a fast disk: otherwise it is a defect of the floor"
            found.append(("----", line))
        return found


def targets_table() -> str:
    """The targets, for docs/bench.md."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for target in TARGETS:
        of = "itself" if target.of == "value" else "the durable floor"
        rows.setdefault((f"{target.case} {target.metric}", of), {})[target.database] = str(target)
    lines = [_line(["", "compared with", "SQLite", "PostgreSQL"]), "|---|---|---|---|"]
    for (what, of), by_database in rows.items():
        lines.append(_line([what, of, by_database.get("sqlite", ""), by_database.get("postgres", "")]))
    return "\n".join(lines)


def _name(of: Row | Target) -> tuple[str, str, str]:
    return of.case, of.database, of.metric


def _pairs(
    rounds: Sequence[Round], role: str, floor: str, case: str, metric: str
) -> tuple[list[float], list[float]]:
    """The values of two servers in the rounds in which both have the metric: little CPU may be counted as
    none."""
    values, floors = [], []
    for measured in rounds:
        one, other = (measured[of].metrics().get(case, {}).get(metric) for of in (role, floor))
        if one is not None and other is not None:
            values.append(one)
            floors.append(other)
    return values, floors


def _rows(prefix: str, database: str, rounds: Sequence[Round], role: str, floor: str) -> list[Row]:
    """Compare two servers in all metrics that both have."""
    found = []
    for case in CASES:
        for metric, unit in UNITS.items():
            values, floors = _pairs(rounds, role, floor, case, metric)
            if values:
                found.append(paired.compare(prefix + case, database, metric, unit, values, floors))
        if case == "alone" and rounds[0][role].alone:
            found.append(_tail(prefix + case, database, rounds, role, floor))
    return found


def _tail(case: str, database: str, rounds: Sequence[Round], role: str, floor: str) -> Row:
    """The p99 divided by the p50 of the same server. Value and floor are of the trips of all rounds together:
    the p99 of one round rests on three trips."""
    metric = "p99_to_p50"

    def tail(times: Sequence[float]) -> float:
        return percentile(times, 99) / percentile(times, 50)

    one, other = ([tail(round[of].alone) for round in rounds] for of in (role, floor))
    whole, base = (tail([ms for round in rounds for ms in round[of].alone]) for of in (role, floor))
    row = paired.compare(case, database, metric, "ratio", one, other)
    return Row(case, database, metric, "ratio", whole, base, row.ratio, row.low, row.high, row.rounds)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _range(row: Row) -> str:
    return f"{row.low:.2f}..{row.high:.2f}"


def _number(value: float) -> str:
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def round_line(database: str, number: int, measured: Round) -> str:
    """What a round says about the main metric of each case."""
    parts = []
    for case, found in measured["askback"].metrics().items():
        metric = "p50" if case == "alone" else "rate"
        floor = measured["floor"].metrics()[case][metric]
        parts.append(f"{case} {_number(found[metric])}/{_number(floor)} = {found[metric] / floor:.2f}")
    others = statistics.median(m.others for m in measured.values())
    return f"{database} round {number}: {', '.join(sorted(parts))}; others {others:.1f} CPUs"
