"""The rows of `make bench-full`: growth, the ratio to bare grpc.aio, and the verdict."""

from __future__ import annotations

import pytest

from tests.bench.full.frame import Bench
from tests.bench.full.rows import Row, Target, table

FLAT = {"10": 4.0, "1,000": 4.2}
STEEP = {"10": 4.0, "1,000": 9.0}


@pytest.mark.parametrize(
    ("row", "is_met"),
    [
        (Row("flat", FLAT, Target("growth", 1.1)), True),
        (Row("steep", STEEP, Target("growth", 1.1)), False),
        (Row("low at the largest size", STEEP, Target("value", 9)), True),
        (Row("high at the largest size", STEEP, Target("value", 8.9)), False),
        (Row("near the floor", STEEP, Target("floor", 1.3), {"10": 1.0, "1,000": 8.0}), True),
        (Row("far above the floor", FLAT, Target("floor", 1.3), {"10": 4.0, "1,000": 2.0}), False),
        (Row("no target", STEEP), None),
        (Row("one size has no growth", {"10": 4.0}, Target("growth", 1.1)), None),
        (Row("grown from nothing", {"10": 0.0, "1,000": 4.0}, Target("growth", 1.1)), False),
    ],
    ids=lambda value: value.name if isinstance(value, Row) else "",
)
def test_a_row_meets_its_target_at_the_largest_size(row: Row, is_met: bool | None) -> None:
    assert row.is_met is is_met


def test_the_table_shows_growth_floor_and_verdict() -> None:
    row = Row("ms", STEEP, Target("floor", 1.3), {"10": 4.0, "1,000": 3.0})
    head, value, bare = table("case", [row]).splitlines()
    assert head.split() == ["case", "10", "1,000", "growth", "to", "bare", "target"]
    assert value.split() == [
        "ms",
        "4.00",
        "9.00",
        "x",
        "2.25",
        "x",
        "3.00",
        "to",
        "bare",
        "<=",
        "1.3",
        "FAIL",
    ]
    assert bare.split() == ["bare", "grpc.aio", "4.00", "3.00"]


def test_sizes_are_scaled_and_named() -> None:
    assert Bench("sqlite", 1.0).sizes(100, 10_000) == {"100": 100, "10,000": 10_000}
    assert Bench("sqlite", 0.01).sizes(100, 1_000, 100_000) == {"4": 4, "10": 10, "1,000": 1_000}
