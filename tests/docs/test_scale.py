"""docs/scale.md has the tables that the program prints, and names laws and cases that exist."""

from __future__ import annotations

import re

import pytest

from tests.bench import capacity
from tests.bench.capacity import PATTERNS, most, read_costs
from tests.bench.full import cases
from tests.docs.blocks import ROOT

BENCH = (ROOT / "docs/bench.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs/scale.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["unit costs", "replicas", "sizes"])
def test_the_page_has_the_tables_of_the_program(name: str) -> None:
    """`python -m tests.bench.capacity` prints them."""
    [shown] = re.findall(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", PAGE, re.DOTALL)
    assert shown == capacity.tables(read_costs())[name]


def test_each_law_names_a_test_that_exists() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 25
    for file, test in named:
        found = [path.read_text() for path in (ROOT / "tests").rglob(file)]
        assert any(re.search(rf"^(async )?def {test}\(", text, re.MULTILINE) for text in found), (file, test)


def test_each_case_is_described_and_each_unit_cost_has_a_case() -> None:
    cells = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", BENCH, re.MULTILINE)
    assert sorted(re.findall(r"\w+", " ".join(cells))) == sorted(cases.ALL)
    assert set(re.findall(r"`CASES=(\w+)`", capacity.table_of_costs())) <= {*cases.ALL}


FREE = {"heard_us": 0, "notify_us": 0, "listener_us": 0, "idle_db_percent": 0, "trip_db_us": 1}
"""Further replicas cost nothing, and the database is fast."""


def test_capacity_is_in_proportion_to_replicas_that_cost_nothing() -> None:
    one, ten = (most(read_costs(FREE), count, PATTERNS[0]).trips for count in (1, 10))
    assert ten == pytest.approx(10 * one)


@pytest.mark.parametrize("name", ["heard_us", "shown_us", "notify_us", "listener_us", "trip_db_us"])
def test_each_cost_of_a_further_replica_lowers_capacity(name: str) -> None:
    cheap, dear = (most(read_costs(FREE | {name: value}), 10, PATTERNS[1]) for value in (0.1, 100_000))
    assert dear.trips < cheap.trips / 2
    assert dear.limit == ("server CPU" if name in ("heard_us", "shown_us") else "database CPU")
