"""The tables of tests/web/README.md name tests that exist, or say that there is none and why."""

import re

from tests.architecture.sources import ROOT

README = ROOT / "tests" / "web" / "README.md"
UNITS = ROOT / "client" / "web" / "test"
PYTHON = re.compile(r"`(test_\w+)`")
UNIT = re.compile(r'`(\w+\.test\.ts)` "([^"]+)"')
REASON = re.compile(r"\*\*None\*\*(: | for | in )\w+")


def rows() -> list[str]:
    """The last cell of each row of the tables."""
    lines = README.read_text(encoding="utf-8").splitlines()
    cells = [line.strip("| ").split(" | ")[-1] for line in lines if line.startswith("| ")]
    return [cell for cell in cells if cell != "Test"]


def test_each_row_has_a_test_or_says_why_not() -> None:
    assert len(rows()) > 100
    assert [row for row in rows() if not (PYTHON.search(row) or UNIT.search(row) or REASON.search(row))] == []


def test_the_named_tests_exist() -> None:
    sources = [file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py")]
    written = {name for text in sources for name in re.findall(r"^ *(?:async )?def (test_\w+)", text, re.M)}
    named = {name for row in rows() for name in PYTHON.findall(row)}
    assert named - written == set()


def test_the_named_units_of_the_page_exist() -> None:
    named = {found for row in rows() for found in UNIT.findall(row)}
    assert len(named) > 20
    missing = {
        (name, title)
        for name, title in named
        if f'test("{title}"' not in re.sub(r"test\(\s+", "test(", (UNITS / name).read_text(encoding="utf-8"))
    }
    assert missing == set()
