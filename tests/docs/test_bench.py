"""docs/bench.md has the targets of the bench."""

from __future__ import annotations

import re

from tests.bench import summary
from tests.bench.rounds import CASES, UNITS
from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs/bench.md").read_text(encoding="utf-8")


def test_the_page_has_the_targets_of_the_program() -> None:
    """`summary.targets_table` makes them."""
    [shown] = re.findall(r"<!-- targets -->\n(.*?)\n<!-- end -->", PAGE, re.DOTALL)
    assert shown == summary.targets_table()


def test_the_page_describes_each_case_and_metric() -> None:
    assert {*re.findall(r"^\| ([\w-]+) \| \w", PAGE, re.MULTILINE)} >= {*CASES}
    assert all(f"`{metric}`" in PAGE for metric in UNITS)
