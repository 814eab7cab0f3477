"""`docs/design.md` is cited by section number in code, tests and ADRs; each number has its heading."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

from askback_server.storage.tables import metadata
from tests.docs.blocks import ROOT

_HEADING = re.compile(r"^##+ (\d+(?:\.\d+)?)\b", re.MULTILINE)
_CITED = re.compile(r"docs/design\.md (\d+(?:\.\d+)?(?:(?:, | and | to )\d+(?:\.\d+)?)*)")
_OLD = re.compile(r"\bDESIGN\b(?!_)")
_NO_CITATIONS = ("docs/design.md", "tests/docs/test_design.py")


def citations(text: str) -> Iterator[str]:
    """The section numbers that a text cites: `docs/design.md 3, 4 and 10.9` has three."""
    for cited in _CITED.finditer(text):
        yield from re.findall(r"\d+(?:\.\d+)?", cited[1])


def sources() -> Iterator[tuple[str, str]]:
    """Every Python file and page of the repository with its text."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", "*.py", "*.md", "*.proto", "*.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if name not in _NO_CITATIONS and (ROOT / name).is_file():
            yield name, (ROOT / name).read_text(encoding="utf-8")


def test_every_cited_section_of_the_design_exists() -> None:
    headings = set(_HEADING.findall((ROOT / "docs/design.md").read_text(encoding="utf-8")))
    cited = [(name, number) for name, text in sources() for number in citations(text)]
    assert len(cited) > 30
    missing = [f"{name}: docs/design.md {number}" for name, number in cited if number not in headings]
    assert not missing, "\n".join(missing)


def test_the_design_names_the_tables_of_the_database() -> None:
    section = (
        (ROOT / "docs/design.md").read_text(encoding="utf-8").partition("## 8. ")[2].partition("## 9. ")[0]
    )
    rows = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(metadata.tables)


def test_the_design_is_cited_in_one_form() -> None:
    assert [name for name, text in sources() if _OLD.search(text)] == []


def test_citations_are_found_in_lists_and_ranges() -> None:
    """A reference without a section number is not a citation."""
    assert [*citations("see docs/design.md 3, 4.2 and 10.6 to 10.8; docs/design.md says")] == [
        "3",
        "4.2",
        "10.6",
        "10.8",
    ]
