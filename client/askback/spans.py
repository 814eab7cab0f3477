"""Times as people read them: `3 h 20 min`, `in 3 h (18:05 CET)`, `2 d ago (27 Nov 18:05 CET)`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def span_words(span: timedelta) -> str:
    """The span by its two largest units: `3 h 20 min`, `12 s`."""
    seconds = max(0, round(span.total_seconds()))
    words = []
    for name, size in _UNITS:
        count, seconds = divmod(seconds, size)
        words.append(f"{count} {name}" if count else "")
    first = next((i for i, word in enumerate(words) if word), 3)
    return " ".join(word for word in words[first : first + 2] if word) or "0 s"


def about(span: timedelta) -> str:
    """The span by its largest unit, `3 h`; below two of them by its two largest, `1 h 20 min`."""
    seconds = max(0, round(span.total_seconds()))
    for name, size, finer in (("d", 86_400, 3600), ("h", 3600, 60), ("min", 60, 1)):
        near = round(seconds / finer) * finer
        if near >= 2 * size:
            return f"{round(near / size)} {name}"
        if near >= size:
            return span_words(timedelta(seconds=near))
    return f"{seconds} s"


def when(moment: datetime | None, now: datetime, *, exact: bool = False) -> str:
    """How every time is shown to people: how far it is, and the local time with its zone; empty for None.

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
    """What `when` needs besides the time that is shown: what time it is, and whether to be exact."""

    now: datetime
    exact: bool = False

    def when(self, moment: datetime | None) -> str:
        """The time for people; see `when`."""
        return when(moment, self.now, exact=self.exact)


def exact_time(moment: datetime) -> str:
    """The time in the local zone, to the second: `2026-11-27T18:05:03+01:00`."""
    return moment.astimezone().isoformat(timespec="seconds")


def _local_time(moment: datetime, now: datetime) -> str:
    """The time of day with its zone; the date and the year where they are not those of now."""
    local, today = moment.astimezone(), now.astimezone()
    day = f"{local.day} {_MONTHS[local.month - 1]} "
    if local.year != today.year:
        day += f"{local.year} "
    return f"{'' if local.date() == today.date() else day}{local:%H:%M} {local:%Z}".rstrip()
