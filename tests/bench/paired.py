"""The statistics of the bench: paired ratios, their median and range, verdicts, and the resolution of a run.

Every round measures all servers within seconds of each other, in mirrored order. A ratio is that of two
values of one round, so most of what the machine does meanwhile is in both. Values of different rounds are
never compared.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

LEAST_ROUNDS = 7
"""Rounds below which there is no verdict. With 7, the range contains the true median with 98 %."""
LEAST_TRIPS = 2_000
"""Trips one at a time below which there is no verdict on their p99."""
CONFIDENCE = 0.95
"""Of the interval that gives the resolution."""

Verdict = Literal["PASS", "FAIL", "----"]
"""The last one means that there is none."""


@dataclass(frozen=True)
class Row:
    """A metric of a case on a database, compared with a floor in the same rounds."""

    case: str
    database: str
    metric: str
    unit: str
    value: float
    """The median of all rounds."""
    floor: float
    """The same of the floor."""
    ratio: float
    """The median of the ratios of the rounds."""
    low: float
    high: float
    """The lowest and the highest ratio of a round."""
    rounds: int


@dataclass(frozen=True)
class Target:
    """A limit for the ratio of a row, or for its value where that is a ratio itself."""

    case: str
    database: str
    metric: str
    limit: float
    at: Literal["most", "least"] = "most"
    of: Literal["ratio", "value"] = "ratio"

    def __str__(self) -> str:
        sign = "<=" if self.at == "most" else ">="
        return f"{sign} {self.limit:g}"


def compare(
    case: str, database: str, metric: str, unit: str, values: Sequence[float], floors: Sequence[float]
) -> Row:
    """Compare the values of rounds with those of a floor, round by round. Raises ValueError if they are not
    of the same rounds."""
    ratios = [value / floor for value, floor in zip(values, floors, strict=True)]
    return Row(
        case,
        database,
        metric,
        unit,
        statistics.median(values),
        statistics.median(floors),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        len(ratios),
    )


def judge(row: Row, target: Target) -> Verdict:
    """Whether the median meets the target; no verdict with too few rounds."""
    if row.rounds < LEAST_ROUNDS:
        return "----"
    found = row.ratio if target.of == "ratio" else row.value
    met = found <= target.limit if target.at == "most" else found >= target.limit
    return "PASS" if met else "FAIL"


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """The narrowest interval of order statistics that contains the median of what the values are drawn from
    with this confidence; None if there are too few. It assumes nothing about their distribution."""
    ordered = sorted(values)
    n = len(ordered)
    found = None
    for cut in range((n + 1) // 2):
        outside = sum(math.comb(n, k) for k in range(cut + 1)) / 2**n
        if 1 - 2 * outside < confidence:
            break
        found = ordered[cut], ordered[n - 1 - cut]
    return found


def resolution(values: Sequence[float], others: Sequence[float]) -> float | None:
    """The smallest change that a run can tell from noise, as a share. `values` and `others` are of two equal
    servers, whose median ratio is this close to 1 with `CONFIDENCE`. None with too few rounds."""
    interval = median_interval([value / other for value, other in zip(values, others, strict=True)])
    return None if interval is None else max(abs(end - 1) for end in interval)


def to_json(rows: Sequence[Row]) -> str:
    """A JSON array with a line for each row."""
    lines = [
        json.dumps({name: _rounded(value) for name, value in asdict(row).items()}, ensure_ascii=False)
        for row in rows
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _rounded(value: object) -> object:
    """Four significant digits."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def by_name(rows: Sequence[Row]) -> Mapping[tuple[str, str, str], Row]:
    """Rows by case, database and metric."""
    return {(row.case, row.database, row.metric): row for row in rows}
