"""Code blocks of Markdown pages. Those in HTML comments run as well; readers do not see them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)


class BadBlock(Exception):
    """A block with a wrong info string or none; the message names page and line."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `line` is the number of its first line of content, from 1."""

    page: str
    line: int
    language: str
    text: str
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """Page and line as `PAGE:LINE`, which editors can jump to."""
        return f"{self.page}:{self.line}"

    @property
    def title(self) -> str:
        """The name of the file that the block shows; empty if it shows none."""
        return self.attributes.get("title", "")


def pages() -> list[Path]:
    """The pages whose blocks run.

    Decision records and generated pages are left out; tests/polyglot runs the commands of its examples.
    """
    apart = {ROOT / "docs" / "adr", ROOT / "docs" / "reference", ROOT / "examples" / "polyglot"}
    found = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("README.md")]
    return sorted(page for page in found if apart.isdisjoint(page.parents))


def blocks_of(page: str, text: str) -> list[Block]:
    """The fenced blocks of a page, in order. Raises BadBlock for an info string that cannot be read."""
    return list(_blocks(page, text, 0))


def _blocks(page: str, text: str, above: int) -> Iterator[Block]:
    """The blocks of a text that begins after line `above` of its page."""
    for token in MarkdownIt().parse(text):
        start = above + (token.map[0] if token.map else 0)
        if token.type == "html_block":
            for comment in _COMMENT.finditer(token.content):
                before = token.content.count("\n", 0, comment.start(1))
                yield from _blocks(page, comment.group(1), start + before)
        elif token.type == "fence":
            yield _block(page, start + 2, token.info, token.content)
        elif token.type == "code_block":
            raise BadBlock(f"{page}:{start + 1}: an indented block has no language; use a fence")


def _block(page: str, line: int, info: str, text: str) -> Block:
    try:
        language, *rest = shlex.split(info)
        attributes = dict(item.split("=", 1) for item in rest)
    except ValueError:
        raise BadBlock(f'{page}:{line}: a fence needs LANGUAGE name="value" …, not {info!r}') from None
    if unknown := set(attributes) - {"title", "norun", "needs"}:
        raise BadBlock(f"{page}:{line}: a block has no {', '.join(sorted(unknown))}")
    if attributes.get("norun", "-") == "":
        raise BadBlock(f"{page}:{line}: norun needs a reason")
    return Block(page, line, language, text, attributes)
