"""Text from others cannot control a terminal. Tables, notes, errors and JSON have their documented form."""

import json
import os
import sys

import pytest

from askback._text.table import Column
from askback._text.text import clean, clean_json, columns, cut, one_line
from askback.cli.output import Format, Output, as_json

HOSTILE = [
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b31m",
    "back\x08\x08\x08",
    "over\rwritten",
    "\u202egnp.exe",
    "\u2066isolated\u2069",
    "\u200fmark",
    "\x00nul\x7fdel",
    "para\u2029graph",
    "\ud800lone",
]


def _is_harmless(text: str) -> bool:
    return all(c.isprintable() or c in "\n\t" for c in text)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_cleaned_text_contains_no_control_sequences(text: str) -> None:
    assert _is_harmless(clean(text))
    assert _is_harmless(one_line(text))
    assert _is_harmless(as_json({"title": text}))


@pytest.mark.parametrize("text", [t for t in HOSTILE if "\ud800" not in t], ids=ascii)
def test_json_output_keeps_the_value_of_hostile_text(text: str) -> None:
    assert json.loads(as_json({"title": text})) == {"title": text}
    assert json.loads(clean_json(json.dumps(text, ensure_ascii=False))) == text


@pytest.mark.parametrize("text", ["Grüße, 世界 🎉", "a\tb\nc", "e\u0301", "[red]not markup[/red]", "שלום"])
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert clean(text) == text


def test_one_line_joins_and_cuts_text() -> None:
    assert one_line("a\nb\tc  d\r\ne") == "a b c d e"
    assert one_line("abcdef", 4) == "abc…"
    assert one_line("abcd", 4) == "abcd"


@pytest.mark.parametrize(
    ("text", "width", "in_four"),
    [
        ("Pay?", 4, "Pay?"),
        ("❤️ it", 5, "❤️ …"),  # a symbol of one column, shown as an emoji of two
        ("⚠️⚠️⚠️", 6, "⚠️⚠…"),
        ("1️⃣ 2️⃣", 5, "1️⃣ …"),
        ("❤ it", 4, "❤ it"),
        ("東京タワー", 10, "東…"),
        ("e\u0301te\u0301s!", 5, "e\u0301te\u0301…"),
        ("👨\u200d👩\u200d👧", 6, "👨…"),  # some terminals show three people (six columns), none needs more
    ],
)
def test_columns_are_counted_as_terminals_show_them(text: str, width: int, in_four: str) -> None:
    assert columns(text) == width
    assert cut(text, 4) == in_four
    assert columns(in_four) <= 4


def test_a_table_is_aligned_and_safe(capsys: pytest.CaptureFixture[str]) -> None:
    table = [Column("JOB", ["1", "22"], important=True), Column("STATE", ["run\x1b[31m\nning", ""])]
    Output().table(table)
    assert capsys.readouterr().out == "JOB  STATE\n1    run<U+001B>[31m ning\n22\n"
    Output(quiet=True).table([Column("JOB", ["1"])])
    assert capsys.readouterr().out == "1\n"


def test_lines_for_programs_are_separated_by_tabs_only(capsys: pytest.CaptureFixture[str]) -> None:
    Output().tsv(["a\tb\n\x1b[2J", 7, "", "日本"])
    assert capsys.readouterr().out == "a b <U+001B>[2J\t7\t\t日本\n"
    Output(Format.TSV).record({"title": "x\ty", "labels": {"a": "b"}, "n": 3})
    assert capsys.readouterr().out == 'title\tx y\nlabels\t{"a": "b"}\nn\t3\n'
    Output(Format.JSON).record({"n": 3})
    assert capsys.readouterr().out == '{"n": 3}\n'
    Output().fields([("state", "open"), ("empty", "")], indent="   ")
    assert capsys.readouterr().out == "state\topen\n"


def test_colour_is_for_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Output()
    assert out.style("a", fg="red") == "a"
    assert not out.is_rich
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert out.style("a\x1b[2J", fg="red") == "\x1b[31ma<U+001B>[2J\x1b[0m"
    assert out.is_rich
    assert not Output(Format.JSON).is_rich
    monkeypatch.setenv("NO_COLOR", "1")
    assert out.style("a", fg="red") == "a"
    monkeypatch.setenv("TERM", "dumb")
    assert not out.is_rich
    assert "NO_COLOR" in os.environ


def test_notes_are_printed_for_people_only(capsys: pytest.CaptureFixture[str]) -> None:
    Output().note("x\x1b[2J")
    assert capsys.readouterr().err == "x<U+001B>[2J\n"
    Output(quiet=True).note("x")
    Output(Format.JSON).note("x")
    assert capsys.readouterr().err == ""


def test_json_output_prints_errors_as_objects(capsys: pytest.CaptureFixture[str]) -> None:
    Output().error("no \x1b[2Jway")
    Output(Format.JSON).error("no way", exit=3)
    plain, record = capsys.readouterr().err.splitlines()
    assert plain == "askback: no <U+001B>[2Jway"
    assert json.loads(record) == {"error": {"message": "no way", "exit": 3}}
