"""Links between pages lead to existing files and headings."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.docs.blocks import ROOT

READMES = [page for name in ("examples", "deploy", "tests") for page in (ROOT / name).rglob("README.md")]
EVERY = sorted(
    page
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *READMES)
    if "node_modules" not in page.parts
)
_FILE = re.compile(r"`([\w*-][\w.*-]*/[\w./*-]+\.(?:py|md|proto|toml|ya?ml|json|sh|lock))`")
_EXTERNAL = re.compile(r"[a-z][a-z0-9+.-]*:")


@cache
def parse(page: Path) -> list[Token]:
    return MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8"))


def targets(tokens: list[Token]) -> list[str]:
    """The targets of the links and pictures of a page."""
    inline = [child for token in tokens for child in token.children or []]
    found = [child.attrGet("href") or child.attrGet("src") for child in inline if child.nesting >= 0]
    return [str(target) for target in found if target]


@cache
def anchors_of(page: Path) -> set[str]:
    """The anchors of the headings of a page."""
    return anchors(parse(page))


def anchors(tokens: list[Token]) -> set[str]:
    """The anchors of headings, named as GitHub names them."""
    seen: Counter[str] = Counter()
    names = set()
    for heading, content in itertools.pairwise(tokens):
        if heading.type == "heading_open":
            words = "".join(child.content for child in content.children or [])
            name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            names.add(f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1
    return names


@pytest.mark.parametrize("page", [page.relative_to(ROOT).as_posix() for page in EVERY])
def test_links_lead_to_existing_files_and_headings(page: str) -> None:
    here = ROOT / page
    for target in targets(parse(here)):
        if _EXTERNAL.match(target):
            continue
        path, _, anchor = unquote(target).partition("#")
        there = (here.parent / path).resolve() if path else here
        assert there.is_relative_to(ROOT), f"{page}: {target} leads out of the repository"
        assert there.exists(), f"{page}: there is no {path}"
        if anchor:
            assert anchor in anchors_of(there), f"{page}: {path or page} has no heading #{anchor}"


def test_files_that_pages_name_exist() -> None:
    """Paths in code font are relative to the repository, to a package, or to the folder of the page."""
    roots = (ROOT, ROOT / "server" / "askback_server", ROOT / "client" / "askback")
    named = [
        (page, path)
        for page in EVERY
        if page.name != "style.md"  # its examples show old names
        for path in _FILE.findall(page.read_text(encoding="utf-8"))
    ]
    assert len(named) > 50
    missing = [
        f"{page.relative_to(ROOT)}: {path}"
        for page, path in named
        if not any(list(root.glob(path)) for root in (*roots, page.parent))
    ]
    assert missing == []


def test_the_parser_finds_links_and_anchors() -> None:
    tokens = MarkdownIt().parse("# A `b_c`: d!\n\n# A b_c d\n\n[x](y.md#z), ![p](q.png)\n")
    assert targets(tokens) == ["y.md#z", "q.png"]
    assert anchors(tokens) == {"a-b_c-d", "a-b_c-d-1"}
    assert sum(len(targets(parse(page))) for page in EVERY) > 200


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for target in targets(parse(page)):
            path = unquote(target).partition("#")[0]
            if path and not _EXTERNAL.match(target) and (page.parent / path).is_file():
                waiting.append((page.parent / path).resolve())
    assert sorted(page.relative_to(ROOT).as_posix() for page in set(EVERY) - reached) == []
