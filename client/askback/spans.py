"""Times as people read them: `3 h 20 min`, `2026-11-25 08:00:03 UTC (3 min ago)`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


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
