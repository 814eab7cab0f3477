"""The rows of a case: a value at each size, how it grows, and whether it meets its target."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Target:
    """A limit for one of three: the value at the largest size, the growth (the value at the largest size
    divided by that at the smallest), or the value divided by that of bare grpc.aio, both at the largest."""

    of: Literal["value", "growth", "floor"]
    limit: float


@dataclass(frozen=True)
class Row:
    """A measured cost."""

    name: str
    values: Mapping[str, float]
    """By size, the smallest first."""
    target: Target | None = None
    floor: Mapping[str, float] = field(default_factory=dict)
    """The same of bare grpc.aio, in the same run."""

    @property
    def growth(self) -> float:
        """The value at the largest size divided by that at the smallest."""
        first, *_, last = (*self.values.values(), *self.values.values())
        return last / first if first else math.nan

    @property
    def to_floor(self) -> float:
        """The value divided by that of bare grpc.aio, at the largest size that both have."""
        size = [size for size in self.values if size in self.floor][-1]
        return self.values[size] / self.floor[size] if self.floor[size] else math.nan

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without one, and with one size for a growth."""
        if self.target is None or (self.target.of == "growth" and len(self.values) < 2):
            return None
        measured = {
            "value": lambda: [*self.values.values()][-1],
            "growth": lambda: self.growth,
            "floor": lambda: self.to_floor,
        }[self.target.of]()
        return measured <= self.target.limit


def table(title: str, rows: Sequence[Row]) -> str:
    """The table of a case."""
    sizes = list(dict.fromkeys(size for row in rows for size in row.values))
    width = max(len(title), *(len(row.name) for row in rows), len("  bare grpc.aio")) + 1
    head = title.ljust(width) + "".join(size.rjust(12) for size in sizes)
    lines = [head + "growth".rjust(9) + "to bare".rjust(9) + "  target"]
    for row in rows:
        text = row.name.ljust(width) + _cells(row.values, sizes)
        text += (f"x {row.growth:.2f}" if len(row.values) > 1 else "-").rjust(9)
        text += (f"x {row.to_floor:.2f}" if row.floor else "-").rjust(9)
        lines.append(f"{text}  {_verdict(row)}")
        if row.floor:
            lines.append("  bare grpc.aio".ljust(width) + _cells(row.floor, sizes))
    return "\n".join(lines)


def _cells(values: Mapping[str, float], sizes: Sequence[str]) -> str:
    return "".join((_number(values[size]) if size in values else "-").rjust(12) for size in sizes)


def _number(value: float) -> str:
    return f"{value:,.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"


def _verdict(row: Row) -> str:
    if row.target is None:
        return "-"
    what = {"value": "", "growth": "growth ", "floor": "to bare "}[row.target.of]
    met = {True: "PASS", False: "FAIL", None: "one size"}[row.is_met]
    return f"{what}<= {row.target.limit:g} {met}"
