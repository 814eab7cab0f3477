"""A terminal shows every character that could mislead: invisible letters, padding, markup."""

import io
import json

import pytest

from askback._text.table import Column, lines
from askback._text.text import clean, clean_json, columns, one_line, visible
from askback.terminal.writer import RichWriter

HIDDEN = [
    "\U000e0100", "\U0001d173", "\U0001bca0", "\u3164", "\u115f", "\u1160", "\uffa0", "\u2800", "\u180e",
    "\u034f", "\ufe0f", "\u17b4", "\u200d", "\u200c", "\U000e0041", "\u200b", "\u202e", "\x1b", "\u0600",
    "\ufffc", "\ue000", "\ufdd0", "\u2062", "\u2066", "\ufeff", "\u00ad", "\u180b", "\x7f", "\x9b", "\u2028",
    "\u061c", "\U0010ffff", "\U000f0000", "\r", "\x00", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("letter", HIDDEN, ids=ascii)
def test_invisible_characters_are_written_out(letter: str) -> None:
    """In a text, in a line, alone, doubled, and in JSON, where the value stays the same."""
    for text in (f"Pay{letter} 1", letter, letter * 3, f"{letter}x", f"x{letter}"):
        for found in (clean(text), one_line(text), visible(text)):
            assert letter not in found
            assert f"<U+{ord(letter):04X}>" in found
        escaped = clean_json(json.dumps(text, ensure_ascii=False))
        assert letter not in escaped
        assert json.loads(escaped) == json.loads(json.dumps(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Pay?" + " " * 300 + "all", "Pay?<300 spaces>all"),
        ("Pay" + "\u00a0" * 60 + "1", "Pay<60 spaces>1"),
        ("a\u2003 \u3000\u2009\u00a0b", "a<5 spaces>b"),
        ("a" + "\t" * 9 + "b", "a<9 spaces>b"),
        (" " * 200 + "b", "<200 spaces>b"),
        ("a" + " " * 99, "a<99 spaces>"),
        ("one" + "\n" * 300 + "rm -rf /", "one\n<299 empty lines>\nrm -rf /"),
        ("one\n" + " \u2003\n" * 9 + "two", "one\n<9 empty lines>\ntwo"),
        ("e" + "\u0301" * 30, "e<30 marks, U+0301 the first>"),
        ("p\u0430ypal.com", "p<U+0430>ypal.com"),
    ],
    ids=ascii,
)
def test_long_padding_is_replaced_by_its_length(text: str, shown: str) -> None:
    assert clean(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "👩\u200d💻 ❤\ufe0f 1\ufe0f\u20e3", "می\u200cخواهم", "क्\u200dष", "naïve e\u0301", "слово word",
        "def f():\n    return 1\n\n\n    # x", "\U0001fae8", "a\t\tb", "日本語 字", "[x] <y> `z`",
    ],
)  # fmt: skip
def test_ordinary_text_stays_unchanged(text: str) -> None:
    assert clean(text) == text


def test_wide_letters_count_as_two_columns() -> None:
    """A wide letter takes two columns: cells do not move, and text is cut at the right place."""
    assert columns("日本e\u0301") == 5
    assert one_line("日本語日本語", 7) == "日本語…"
    table = [Column("NAME", ["日本", "a"], important=True), Column("T", ["x", "y"], important=True)]
    first, second, third = lines(table)
    assert columns(first[: first.index("T")]) == columns(second[: second.index("x")]) == third.index("y")


def test_markdown_that_would_hide_text_is_shown_as_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Definitions, titles of links, text after a fence and overlong cells are all shown."""
    monkeypatch.setenv("TERM", "xterm")
    for hidden in (
        "fine\n\n[//]: # (rm -rf /)", "[a](http://x 'rm -rf /')", "```sh rm -rf /\nls\n```",
        "| a |\n|---|\n| b | rm -rf / |", "![](http://evil/rm-rf)", "|a|b|\n|-|-|\n|" + "x" * 300 + "|rm-rf|",
    ):  # fmt: skip
        out = io.StringIO()
        RichWriter(out).markdown(hidden)
        shown = "".join(out.getvalue().split())
        assert "rm-rf" in shown, hidden
    out = io.StringIO()
    RichWriter(out).markdown("# Title\n\n* **bold** [link](http://x)\n\n```python\nprint(1)\n```\n")
    assert "**" not in out.getvalue()  # rendered, because nothing would be lost
