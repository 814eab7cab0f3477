"""Pages and contract are written in plain English: words of an old private dialect do not come back."""

from __future__ import annotations

import re

from tests.docs.blocks import ROOT

DIALECT = re.compile(r"\b(somebody|anybody|everybody|whoever|for ever|anew)\b", re.IGNORECASE)
NO_PAGES = {"node_modules", "adr", ".venv", ".venv-demo"}
"""Decisions are kept as they were written."""


def test_pages_have_none_of_the_dialect() -> None:
    pages = [
        page
        for folder in ("docs", "examples", "deploy", "protos")
        for ending in ("*.md", "*.proto")
        for page in (ROOT / folder).rglob(ending)
        if not NO_PAGES & set(page.parts)
    ]
    assert len(pages) > 30
    found = [
        f"{page.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for page in (ROOT / "README.md", ROOT / "CHANGELOG.md", *pages)
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        if DIALECT.search(line)
    ]
    assert not found, "\n".join(found)
