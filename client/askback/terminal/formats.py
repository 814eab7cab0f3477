"""Texts with a JSON Schema `format`: parses the text that people type, and shows the text that is sent.

People type times as on their own clock; the text that is sent has an offset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from uuid import UUID

from askback._text.spans import span_words

_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[ T](\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)\s*(\S.*)?", re.ASCII | re.IGNORECASE
)
_CLOCK = re.compile(r"(\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)\s*(\S.*)?", re.ASCII)
_OFFSET = re.compile(r"[+-]\d{2}(?::?\d{2})?", re.ASCII)
_YOURS = ("", "your time", "(your time)", "local", "local time")
_UTC = ("z", "utc", "gmt")
_PART = re.compile(
    r"(\d+(?:\.\d+)?)\s*(weeks?|w|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)", re.ASCII
)
_UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_ISO = re.compile(
    r"P(?:(\d+)W|(?=\d|T\d)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?)",
    re.ASCII,
)
_LINK = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_MAIL = re.compile(r"[^\s@]+@[^\s@]+")


@dataclass(frozen=True, slots=True)
class Format:
    """One JSON Schema `format`: hints for one and for several texts, the parser, and the text for people.

    `read` raises ValueError, with a message that says what is expected.
    """

    hint: str
    several: str
    read: Callable[[str], str]
    show: Callable[[str], str] = str


def format_of(name: str) -> Format | None:
    """The format of this name; None if texts of this format are sent as they are typed."""
    return FORMATS.get(name)


def _read_moment(text: str) -> str:
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(f"must be {_MOMENT_RIGHT}")
    try:
        naive = datetime.fromisoformat(f"{found[1]}T{_two_digits(found[2])}")
    except ValueError:
        raise ValueError(f"{text!r} is not in the calendar; write {_MOMENT_RIGHT}") from None
    return _with_zone(naive, (found[3] or "").strip())


def _two_digits(clock: str) -> str:
    return clock if clock[2] == ":" else f"0{clock}"


def _with_zone(naive: datetime, zone: str) -> str:
    if zone.casefold() in _UTC:
        return _iso(naive.replace(tzinfo=UTC))
    if _OFFSET.fullmatch(zone):
        try:
            return _iso(datetime.fromisoformat(f"{naive.isoformat()}{zone}"))
        except ValueError:
            raise ValueError(f"has an offset that no zone has, {zone!r}; write one such as +01:00") from None
    try:
        first, second = naive.replace(fold=0).astimezone(), naive.replace(fold=1).astimezone()
        exists = first.astimezone(UTC).astimezone().replace(tzinfo=None) == naive
    except (OverflowError, ValueError, OSError):
        raise ValueError("is outside the years that this machine's clock knows; add Z for UTC") from None
    names = {(moment.tzname() or "").casefold(): moment for moment in (second, first)}
    if zone.casefold() in _YOURS:
        if not exists:
            raise ValueError(
                "does not exist where you are: the clocks skip that hour; add an offset such as +01:00"
            )
        if first.utcoffset() != second.utcoffset():
            offsets = " or ".join(_iso(moment)[-6:] for moment in (first, second))
            raise ValueError(f"comes twice where you are, as the clocks go back: add {offsets}")
        return _iso(first)
    if zone.casefold() in names and exists:
        return _iso(names[zone.casefold()])
    raise ValueError(
        f"has a zone that is not known here, {zone!r}; write an offset such as +01:00, or Z for UTC"
    )


def _iso(moment: datetime) -> str:
    """The time in RFC 3339, whose offsets have no seconds: a local time of before 1900 is sent in UTC."""
    if (moment.utcoffset() or timedelta()) % timedelta(minutes=1):
        moment = moment.astimezone(UTC)
    return moment.isoformat().replace("+00:00", "Z")


def _show_moment(text: str) -> str:
    """The time on the reader's clock, with its zone."""
    try:
        moment = datetime.fromisoformat(text)
        local = moment.astimezone()
    except (ValueError, OverflowError, OSError):
        return text
    clock = "%H:%M" if not (local.second or local.microsecond) else "%H:%M:%S"
    return f"{local:%Y-%m-%d {clock} %Z}"


def _read_clock(text: str) -> str:
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise ValueError(f"must be {_CLOCK_HINT}")
    try:
        value = time.fromisoformat(_two_digits(found[1]))
    except ValueError:
        raise ValueError(f"{text!r} is not on the clock; write {_CLOCK_HINT}") from None
    zone = (found[2] or "").strip()
    if zone.casefold() in _YOURS:
        return value.isoformat()
    if zone.casefold() in _UTC:
        return f"{value.isoformat()}Z"
    if _OFFSET.fullmatch(zone):
        try:
            return time.fromisoformat(f"{value.isoformat()}{zone}").isoformat()
        except ValueError:
            pass
    raise ValueError(f"must be {_CLOCK_HINT}")


def _read_clock_with_offset(text: str) -> str:
    """A time of day in RFC 3339, which has an offset: by default this machine's offset of today."""
    value = _read_clock(text)
    if value.endswith("Z") or _OFFSET.fullmatch(value[-6:]):
        return value
    here = datetime.now().astimezone()
    return f"{value}{here.isoformat()[-6:]}" if here.utcoffset() else f"{value}Z"


def _show_clock(text: str) -> str:
    return text.removesuffix(":00") if len(text) == 8 else text


def _read_duration(text: str) -> str:
    if _ISO.fullmatch(text.upper()) and text.upper() != "P":
        return text.upper()
    words = text.casefold()
    if not words or _PART.sub("", words).strip(" ,"):
        raise ValueError(f"must be {_DURATION_HINT}")
    seconds = sum(float(number) * _UNITS[unit[0]] for number, unit in _PART.findall(words))
    if seconds != int(seconds):
        raise ValueError("must be whole seconds")
    if seconds >= 10_000 * 365 * 86_400:
        raise ValueError("is too long")
    return _spelt(int(seconds))


def _spelt(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    clock = "".join(f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M"), (rest, "S")) if count)
    return f"P{f'{days}D' if days else ''}{'T' + clock if clock else ''}" if days or clock else "PT0S"


def _show_duration(text: str) -> str:
    found = _ISO.fullmatch(text)
    if found is None or found[2] or found[3]:
        return text
    weeks, days, hours, minutes, seconds = (int(found[n] or 0) for n in (1, 4, 5, 6, 7))
    try:
        span = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        return text
    # `span_words` shows two units: join days, hours and the rest to be exact to the second.
    day = timedelta(days=1)
    hour = timedelta(hours=1)
    pieces = (span - span % day, span % day - span % hour, span % hour)
    return " ".join(span_words(piece) for piece in pieces if piece) or span_words(span)


def _read_uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise ValueError(f"must be {_UUID_HINT}") from None


def _read_json_text(text: str) -> str:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError('must be JSON, such as {"a": 1}') from None
    return text


def _address(kind: Callable[[str], object], hint: str, several: str) -> Format:
    def read(text: str) -> str:
        try:
            kind(text)
        except ValueError:
            raise ValueError(f"must be {hint}") from None
        return text

    return Format(hint, several, read)


def _matching(pattern: re.Pattern[str], hint: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"must be {hint}")
        return text

    return read


_MOMENT_HINT = "a date and time, such as 2026-12-01 15:00 (your time)"
_MOMENT_RIGHT = f"{_MOMENT_HINT} or 2026-12-01 15:00 +01:00"
_CLOCK_HINT = "a time of day, such as 15:00"
_DURATION_HINT = "a duration, such as 1h30m or 2d"
_UUID_HINT = "a UUID, such as 0b9c2a3e-5f1d-4c7b-9a8e-6d5f4e3c2b1a"
_LINK_HINT = "a link, such as https://example.com/page"
_MAIL_HINT = "an e-mail address, such as ana@example.com"

FORMATS: Final[Mapping[str, Format]] = {
    "date-time": Format(
        _MOMENT_HINT, "dates and times, such as 2026-12-01 15:00", _read_moment, _show_moment
    ),
    "time": Format(_CLOCK_HINT + " (your time)", "times of day", _read_clock_with_offset, _show_clock),
    "time-local": Format(_CLOCK_HINT, "times of day", _read_clock, _show_clock),
    "duration": Format(_DURATION_HINT, "durations, such as 1h30m", _read_duration, _show_duration),
    "uuid": Format(_UUID_HINT, "UUIDs", _read_uuid),
    "uri": Format(_LINK_HINT, "links", _matching(_LINK, _LINK_HINT)),
    "email": Format(_MAIL_HINT, "e-mail addresses", _matching(_MAIL, _MAIL_HINT)),
    "json": Format('JSON, such as {"a": 1}', "JSON texts", _read_json_text),
    "path": Format("a path, such as reports/2026.csv", "paths", str),
    "ipv4": _address(IPv4Address, "an IPv4 address, such as 192.0.2.1", "IPv4 addresses"),
    "ipv6": _address(IPv6Address, "an IPv6 address, such as 2001:db8::1", "IPv6 addresses"),
    "ipvanyaddress": _address(ip_address, "an IP address, such as 192.0.2.1", "IP addresses"),
}
"""By name in JSON Schema. `time-local` is OpenAPI's name for a time without an offset."""
