"""The terminal and the page write out the same characters of other people's texts."""

import json
from pathlib import Path

import pytest

from askback._text.text import clean

TABLE_FILE = Path(__file__).with_name("visible_texts.json")
TABLE: list[list[str]] = json.loads(TABLE_FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("text", "visible"), TABLE, ids=ascii)
def test_the_terminal_agrees_with_the_table_of_the_page(text: str, visible: str) -> None:
    """client/web/test/content_visible.test.ts holds the page to it."""
    assert clean(text) == visible
