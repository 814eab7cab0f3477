"""Spans and times as people write and read them: `1d12h`, `2026-11-25 08:00:03 UTC (3 min ago)`.

`parse_span` is the only parser of spans: the command line's options and the server's settings use it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|s|m|h|d|w)", re.ASCII)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.ASCII)
_MOST_SECONDS = 315_576_000_000
"""10,000 years, the longest google.protobuf.Duration."""


def parse_span(text: str) -> timedelta:
    """A span longer than nothing, with units: `90s`, `15m`, `4h`, `1d12h`, `2w`.

    Raises ValueError, which says what would be right; a bare number is refused, because it may mean any
    unit.
    """
    given = text.strip().lower()
    if _NUMBER.fullmatch(given):
        raise ValueError(f"{text!r} has no unit; write {given}s, {given}m, {given}h or {given}d")
    if not given or _PART.sub("", given).strip():
        raise ValueError(f"{text!r} is not a span of time; write 90s, 15m, 4h or 1d12h")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(given))
    if not seconds <= _MOST_SECONDS:
        raise ValueError(f"{text!r} is too long")
    span = timedelta(seconds=seconds)
    if span <= timedelta(0):
        raise ValueError(f"{text!r} must be longer than 0 s")
    return span


def span_words(span: timedelta) -> str:
    """The span by its two largest units: `3 h 20 min`, `12 s`."""
    seconds = max(0, round(span.total_seconds()))
    words = []
    for name, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        words.append(f"{count} {name}" if count else "")
    first = next((i for i, word in enumerate(words) if word), 3)
    return " ".join(word for word in words[first : first + 2] if word) or "0 s"


def when(moment: datetime | None, now: datetime) -> str:
    """A point in time and how far it is: `2026-11-25 08:00:03 UTC (3 min ago)`; empty for None."""
    if moment is None:
        return ""
    at = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if moment > now:
        return f"{at} (in {span_words(moment - now)})"
    return f"{at} ({span_words(now - moment)} ago)"
