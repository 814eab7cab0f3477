"""Decision records: one list with their titles, unique numbers, explained gaps, citations that resolve."""

from __future__ import annotations

import re
from collections import Counter

from tests.docs.blocks import ROOT
from tests.docs.test_design import sources

FOLDER = ROOT / "docs" / "adr"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")
_CITED = re.compile(r"\bADR (\d{4})\b")
_PARTS = ("Status: ", "**Context.**", "**Decision.**", "**Consequences.**")


def test_the_index_lists_every_record_with_its_title() -> None:
    titles = {record.name: record.read_text(encoding="utf-8").splitlines()[0] for record in RECORDS}
    listed = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \|$", INDEX, re.MULTILINE)
    assert {name: f"# {number} {title}" for number, name, title in listed} == titles


def test_every_record_has_its_parts() -> None:
    texts = {record.name: record.read_text(encoding="utf-8") for record in RECORDS}
    assert {name: part for name, text in texts.items() for part in _PARTS if part not in text} == {}


def test_numbers_are_unique_and_gaps_are_explained() -> None:
    numbers = [int(record.name[:4]) for record in RECORDS]
    assert [number for number, count in Counter(numbers).items() if count > 1] == []
    explained = re.findall(r"^(\d{4}) to (\d{4}) ", INDEX, re.MULTILINE)
    unused = {number for first, last in explained for number in range(int(first), int(last) + 1)}
    assert set(range(1, max(numbers) + 1)) - set(numbers) == unused


def test_cited_records_exist() -> None:
    numbers = {record.name[:4] for record in RECORDS}
    cited = [(name, number) for name, text in sources() for number in _CITED.findall(text)]
    assert cited
    assert [f"{name}: ADR {number}" for name, number in cited if number not in numbers] == []
