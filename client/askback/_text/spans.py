"""Durations and times for people: `1d12h`, `in 3 h (18:05 CET)`, `2 d ago (27 Nov 18:05 CET)`.

`parse_span` is the only parser of durations: the command line's options and the server's settings use it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_SIZES = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|s|m|h|d|w)", re.ASCII)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.ASCII)
_MAX_SECONDS = 315_576_000_000
"""10,000 years, the longest google.protobuf.Duration."""


def parse_span(text: str) -> timedelta:
    """Parse a positive duration with units: `90s`, `15m`, `4h`, `1d12h`, `2w`.

    Raises ValueError whose text shows a correct value. A bare number is refused because its unit is unknown.
    """
    given = text.strip().lower()
    if _NUMBER.fullmatch(given):
        raise ValueError(f"{text!r} has no unit; write {given}s, {given}m, {given}h or {given}d")
    if not given or _PART.sub("", given).strip():
        raise ValueError(f"{text!r} is not a span of time; write 90s, 15m, 4h or 1d12h")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(given))
    if not seconds <= _MAX_SECONDS:
        raise ValueError(f"{text!r} is too long")
    span = timedelta(seconds=seconds)
    if span <= timedelta(0):
        raise ValueError(f"{text!r} must be longer than 0 s")
    return span


def span_words(span: timedelta) -> str:
    """The duration in its two largest units: `3 h 20 min`, `12 s`."""
    seconds = max(0, round(span.total_seconds()))
    words = []
    for name, size in _SIZES:
        count, seconds = divmod(seconds, size)
        words.append(f"{count} {name}" if count else "")
    first = next((i for i, word in enumerate(words) if word), 3)
    return " ".join(word for word in words[first : first + 2] if word) or "0 s"


def about(span: timedelta) -> str:
    """The duration rounded to its largest unit, `3 h`; below two of that unit to the next, `1 h 20 min`."""
    seconds = max(0, round(span.total_seconds()))
    for name, size, finer in (("d", 86_400, 3600), ("h", 3600, 60), ("min", 60, 1)):
        near = round(seconds / finer) * finer
        if near >= 2 * size:
            return f"{round(near / size)} {name}"
        if near >= size:
            return span_words(timedelta(seconds=near))
    return f"{seconds} s"


def when(moment: datetime | None, now: datetime, *, exact: bool = False) -> str:
    """Format a time for people: the distance from now, and the local time with its zone; empty for None.

    `in 3 h (18:05 CET)`, `just now (15:05 CET)`, `2 d ago (27 Nov 18:05 CET)`, of another year
    `400 d ago (27 Nov 2025 18:05 CET)`; with `exact` `in 3 h (2026-11-27T18:05:03+01:00)`.
    """
    if moment is None:
        return ""
    at = exact_time(moment) if exact else _local_time(moment, now)
    if moment > now:
        return f"in {about(moment - now)} ({at})"
    past = about(now - moment)
    return f"just now ({at})" if past == "0 s" else f"{past} ago ({at})"


@dataclass(frozen=True, slots=True)
class Times:
    """Formats times for people: the present time, and whether to be exact."""

    now: datetime
    exact: bool = False

    def when(self, moment: datetime | None) -> str:
        """Format a time for people; see the function `when`."""
        return when(moment, self.now, exact=self.exact)

    def age(self, since: datetime | None) -> str:
        """The duration until now, or the exact time itself; empty for None. For a column of a table."""
        if since is None:
            return ""
        return exact_time(since) if self.exact else span_words(self.now - since)


def exact_time(moment: datetime) -> str:
    """The time in the local zone, to the second: `2026-11-27T18:05:03+01:00`."""
    return moment.astimezone().isoformat(timespec="seconds")


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def day_words(moment: datetime, now: datetime) -> str:
    """A day for people, in the local zone, with the time unless it is midnight: `Fri 4 Dec`, `Fri 4 Dec 13:00
    CET`, of another year `Mon 4 Jan 2027`."""
    local = moment.astimezone()
    year = "" if local.year == now.astimezone().year else f" {local.year}"
    time = f" {local:%H:%M} {local:%Z}".rstrip() if (local.hour, local.minute) != (0, 0) else ""
    return f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]}{year}{time}"


def _local_time(moment: datetime, now: datetime) -> str:
    """The time of day with its zone, after the date and year where they differ from today's."""
    local, today = moment.astimezone(), now.astimezone()
    day = f"{local.day} {_MONTHS[local.month - 1]} "
    if local.year != today.year:
        day += f"{local.year} "
    return f"{'' if local.date() == today.date() else day}{local:%H:%M} {local:%Z}".rstrip()
