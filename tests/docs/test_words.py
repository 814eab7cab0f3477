"""Pages, changelog and contract do not use the words that docs/style.md forbids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.blocks import ROOT

FORBIDDEN = re.compile(
    r"\b(somebody|nobody|anybody|everybody|whoever|for ever|anew|so many)\b", re.IGNORECASE
)
QUOTES = re.compile(r"`[^`]*`|\"[^\"]*\"|“[^”]*”")
"""Code and quoted texts of programs: they may use any word."""
LEFT_OUT = {"node_modules", ".venv", ".venv-demo"}
STYLE_GUIDE = ROOT / "docs" / "style.md"
"""Quotes the forbidden words."""
GENERATED_FROM_CODE = set((ROOT / "docs" / "reference").glob("*.md"))
"""Their texts come from the code, which another test checks."""


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a page without code blocks, quotations and code."""
    fenced = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, QUOTES.sub("", line)


def pages() -> list[Path]:
    """The pages and contract files that are written by hand."""
    found = {
        page
        for folder in ("docs", "deploy", "examples", "protos", "gen")
        for ending in ("*.md", "*.proto")
        for page in (ROOT / folder).rglob(ending)
        if not LEFT_OUT & set(page.parts)
    }
    found -= set((ROOT / "examples").rglob("requirements.md"))  # input of an example
    named = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "tests/vectors/README.md")
    found |= {ROOT / name for name in named}
    return sorted(found - {STYLE_GUIDE} - GENERATED_FROM_CODE)


def test_pages_use_no_forbidden_words() -> None:
    assert len(pages()) > 60
    found = [
        f"{page.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for page in pages()
        for number, line in prose(page)
        if FORBIDDEN.search(line)
    ]
    assert not found, "\n".join(found)


def test_the_style_guide_names_each_forbidden_word() -> None:
    text = STYLE_GUIDE.read_text(encoding="utf-8")
    words = FORBIDDEN.pattern.partition("(")[2].partition(")")[0].split("|")
    assert [word for word in words if word not in text] == []


def test_code_and_quotations_are_not_checked(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('nobody `nobody` "nobody"\n```\nnobody\n```\nanew\n', encoding="utf-8")
    found = [(number, FORBIDDEN.findall(line)) for number, line in prose(page)]
    assert found == [(1, ["nobody"]), (5, ["anew"])]
