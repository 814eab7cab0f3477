"""Parsing and printing of spans, times, inputs and labels."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest

from askback._text.spans import Times, about, span_words, when
from askback.cli.job_input import job_input, labels
from askback.cli.time_types import EscalationStep, Moment, Seconds, Span
from tests.support.zones import CET, zone

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("4h", 14_400),
        ("1d12h", 129_600),
        ("1 h 30 min", 5400),
        ("2w", 1_209_600),
        ("250ms", 0.25),
        ("45s", 45),
        ("1.5h", 5400),
        ("15m", 900),
    ],
)
def test_spans_are_parsed(text: str, seconds: float) -> None:
    assert Span().convert(text, None, None) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "h4",
        "-4h",
        "-5s",
        "4h later",
        "9" * 400 + "w",
        "99999999w",
        "0s",
        "0.0000001s",
        "nan",
        "inf",
        "True",
    ],
)
def test_invalid_spans_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Span().convert(text, None, None)


def test_times_are_parsed() -> None:
    assert Moment().convert("2026-11-25T08:00+02:00", None, None) == datetime(2026, 11, 25, 6, tzinfo=UTC)
    before = datetime.now(UTC)
    then = Moment().convert("4h", None, None)
    assert before <= then + timedelta(hours=4) <= datetime.now(UTC)
    assert Moment().convert("2026-11-25T08:00Z", None, None) == datetime(2026, 11, 25, 8, tzinfo=UTC)
    assert Moment().convert("99999w", None, None).year < 1000
    with pytest.raises(click.BadParameter):
        Moment().convert("yesterday", None, None)


@pytest.mark.parametrize("text", ["45", "0", "-5", "1.5", "1e3", "30 "])
def test_a_span_needs_a_unit(text: str) -> None:
    with pytest.raises(click.BadParameter, match="has no unit; write"):
        Span().convert(text, None, None)
    if text != "-5":
        with pytest.raises(click.BadParameter, match="has no unit"):
            EscalationStep().convert(f"{text}=group:leads", None, None)
        with pytest.raises(click.BadParameter, match="has no unit"):
            Moment().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("2026-11-25T08:00", "2026-11-25T08:00Z"),
        ("2026-11-25 08:00", "2026-11-25 08:00+01:00"),
        ("2026-11-25", "2026-11-25T00:00Z"),
        ("20261125", "20261125T00:00Z"),
    ],
)
def test_a_time_needs_a_zone(text: str, fix: str) -> None:
    with pytest.raises(click.BadParameter, match=f"has no time zone.*{re.escape(fix)}"):
        Moment().convert(text, None, None)


@pytest.mark.parametrize("text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"])
def test_a_time_outside_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="outside the years"):
        Moment().convert(text, None, None)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "-inf", "1e400", "ten", "1.5", "10", "0s", "50ms"])
def test_a_timeout_is_a_span_with_a_unit(text: str) -> None:
    assert Seconds().convert("1.5s", None, None) == 1.5
    assert Seconds().convert("1m30s", None, None) == 90.0
    with pytest.raises(click.BadParameter):
        Seconds().convert(text, None, None)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (12_000, "3 h 20 min"),
        (90_061, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_spans_are_shown_in_words(span: float, words: str) -> None:
    assert span_words(timedelta(seconds=span)) == words


def test_an_age_is_a_span_or_the_exact_time() -> None:
    asked = NOW - timedelta(minutes=3)
    with zone(CET):
        assert Times(NOW).age(asked) == "3 min"
        assert Times(NOW, exact=True).age(asked) == "2030-01-01T12:57:00+01:00"
    assert Times(NOW).age(None) == Times(NOW, exact=True).age(None) == ""


def test_points_in_time_are_shown_in_words() -> None:
    """First relative, then local time with its zone; the date unless it is today, the year if it differs."""
    with zone(CET):
        for span, words in (
            (timedelta(hours=4), "in 4 h (17:00 CET)"),
            (timedelta(hours=12), "in 12 h (2 Jan 01:00 CET)"),
            (timedelta(days=180), "in 180 d (30 Jun 14:00 CEST)"),
            (-timedelta(minutes=3), "3 min ago (12:57 CET)"),
            (-timedelta(seconds=0.2), "just now (12:59 CET)"),
            (-timedelta(days=2), "2 d ago (30 Dec 2029 13:00 CET)"),
        ):
            assert when(NOW + span, NOW) == words
        assert when(NOW + timedelta(hours=4), NOW, exact=True) == "in 4 h (2030-01-01T17:00:00+01:00)"
    with zone("Asia/Tokyo"):
        assert when(NOW, NOW) == "just now (21:00 JST)"
    assert when(None, NOW) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (45, "45 s"),
        (90, "1 min 30 s"),
        (3599.9, "1 h"),
        (5_400, "1 h 30 min"),
        (7_180, "2 h"),
        (10_000, "3 h"),
        (86_400, "1 d"),
        (100_800, "1 d 4 h"),
        (187_200, "2 d"),
        (-3, "0 s"),
    ],
)
def test_approximate_spans_are_shown_in_words(seconds: float, words: str) -> None:
    assert about(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("source", "pairs", "value"),
    [
        (None, [], None),
        ("null", [], None),
        ("[1]", [], [1]),
        (None, ["a=1", "b:=1", 'c:={"d": null}'], {"a": "1", "b": 1, "c": {"d": None}}),
        (None, ["e=", "f=x=y"], {"e": "", "f": "x=y"}),
        ('{"a": 1, "b": 2}', ["a=one"], {"a": "one", "b": 2}),
        ('{"n": 9007199254740993}', [], {"n": 9007199254740993}),
    ],
)
def test_job_input_is_read_from_text_or_pairs(source: str | None, pairs: list[str], value: Any) -> None:
    assert job_input(source, pairs) == value


@pytest.mark.parametrize(
    ("source", "pairs"),
    [
        ("{", []),
        ("Infinity", []),
        ("[1]", ["a=b"]),
        (None, ["a"]),
        (None, ["=b"]),
        (None, [":=1"]),
        (None, ["a:=x"]),
    ],
)
def test_invalid_job_input_is_refused(source: str | None, pairs: list[str]) -> None:
    with pytest.raises(click.UsageError):
        job_input(source, pairs)


def test_labels_are_parsed_or_refused() -> None:
    assert labels(["a=b", "c=d=e", "f="]) == {"a": "b", "c": "d=e", "f": ""}
    for wrong in ("a", "=b"):
        with pytest.raises(click.UsageError):
            labels([wrong])
