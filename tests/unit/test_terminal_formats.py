"""Typed times, spans, choices and named values, and what is sent for them."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from askback.terminal.fields import Field, top_entries
from askback.terminal.formats import FORMATS
from askback.terminal.schema_entries import schema_entry
from askback.terminal.value_parser import fits, read
from askback.terminal.value_text import text_for


@pytest.fixture
def clock_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Sets the local time zone."""

    def move(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("zone", "typed", "sent"),
    [
        ("Asia/Kathmandu", "2026-12-01 15:00", "2026-12-01T15:00:00+05:45"),
        ("Australia/Lord_Howe", "2026-07-01 15:00 +11", "2026-07-01T15:00:00+11:00"),
        ("Europe/Berlin", "2026-12-01 15:00 +01", "2026-12-01T15:00:00+01:00"),
        # The local mean time of those days has seconds in its offset, which RFC 3339 does not allow.
        ("Europe/Amsterdam", "1900-01-01 12:00", "1900-01-01T11:40:28Z"),
        ("Pacific/Apia", "1900-01-01 12:00 (your time)", "1900-01-01T23:26:56Z"),
    ],
)
def test_a_moment_is_sent_as_rfc_3339(clock_of: Any, zone: str, typed: str, sent: str) -> None:
    clock_of(zone)
    assert FORMATS["date-time"].read(typed) == sent


@pytest.mark.parametrize("offset", ["+99:99", "-24:00", "+24", "+1260000"])
def test_an_offset_that_does_not_exist_is_refused_in_our_words(offset: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(offset))) as refused:
        FORMATS["date-time"].read(f"2026-12-01 15:00 {offset}")
    assert "timedelta" not in str(refused.value)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("P1DT2H3M", "1 d 2 h 3 min"),
        ("P1DT2H3M4S", "1 d 2 h 3 min 4 s"),
        ("PT2H5S", "2 h 5 s"),
        ("PT90M", "1 h 30 min"),
        ("PT0S", "0 s"),
        ("P1W", "7 d"),
    ],
)
def test_a_duration_is_shown_to_the_second(sent: str, shown: str) -> None:
    assert FORMATS["duration"].show(sent) == shown
    assert FORMATS["duration"].show(FORMATS["duration"].read(sent)) == shown
    assert FORMATS["duration"].show(FORMATS["duration"].read(shown)) == shown  # and may be typed so


def _field(part: dict[str, Any]) -> Field:
    (found,) = top_entries(schema_entry({"type": "object", "properties": {"q": part}, "required": ["q"]}))
    assert isinstance(found, Field)
    return found


@pytest.mark.parametrize("typed", ["green, dark", "GREEN,  dark", "Green", "GREEN", "2"])
def test_a_choice_is_named_by_value_or_title_in_any_case(typed: str) -> None:
    colours = {"oneOf": [{"const": "red"}, {"const": "green, dark", "title": "Green"}]}
    assert read(_field(colours), typed) == "green, dark"


@pytest.mark.parametrize(
    ("value", "typed"),
    [
        ("integer", {"a": 1.5}),
        ("integer", {"a": 1, "b": "2"}),
        ("boolean", {"on": 1}),
        ("string", {"a": None}),
    ],
)
def test_values_by_name_as_json_are_judged_like_those_typed(value: str, typed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"'{list(typed)[-1]}' does not fit"):
        read(_field({"type": "object", "additionalProperties": {"type": value}}), json.dumps(typed))


@pytest.mark.parametrize("typed", ["red=1, Green=2", "RED=1, 2=2", '{"red": 1, "dark": 2}'])
def test_property_names_are_accepted_by_their_titles_too(typed: str) -> None:
    colours = {"oneOf": [{"const": "red"}, {"const": "dark", "title": "Green"}]}
    part = {"type": "object", "propertyNames": colours, "additionalProperties": {"type": "integer"}}
    assert read(_field(part), typed) == {"red": 1, "dark": 2}
    for twice in ("Green=1, dark=2", "blue=1"):
        with pytest.raises(ValueError, match=r"'dark' must not be there twice|'blue' is not a name here"):
            read(_field(part), twice)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("ipv4", "192.0.2.1", "2001:db8::1"),
        ("ipv6", "2001:db8::1", "192.0.2.1"),
        ("ipvanyaddress", "2001:db8::1", "localhost"),
        ("ipvanyaddress", "192.0.2.1", "192.0.2.256"),
    ],
)
def test_ip_addresses_are_checked_when_typed(name: str, right: str, wrong: str) -> None:
    assert FORMATS[name].read(right) == right
    with pytest.raises(ValueError, match="must be an IP"):
        FORMATS[name].read(wrong)


def test_the_default_of_a_decimal_is_offered() -> None:
    """pydantic writes it as text, which the schema accepts as well as a number."""
    decimal = {"anyOf": [{"type": "number", "minimum": 1}, {"type": "string", "format": "decimal"}]}
    assert fits(_field(decimal), "12.50")
    assert not fits(_field(decimal), "0.50")
    assert not fits(_field(decimal), "much")
    assert fits(_field({"type": "array", "items": decimal}), ["1.10", 2])
    assert not fits(_field({"type": "number"}), "12.50")
    assert text_for(_field(decimal), "12.50") == "12.50"
