"""Settings with values by name: `refund=10,team-a:refund=3` in a flag or a variable, a table in the file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from askback._text.spans import parse_span
from askback_server.domain.jobs import TERMINAL
from askback_server.domain.limits import Limits

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*")
SHORT_RETENTION = timedelta(hours=1)
"""A shorter retention is probably a mistake: answers are deleted before they have been read."""
ENDS = frozenset({"default", *TERMINAL})


def pairs(text: str) -> dict[str, str]:
    """The pairs of `a=1,b=2` by name. Raises ValueError with the problem."""
    found: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, equals, value = (p.strip() for p in part.partition("="))
        if not equals or not name or not value:
            raise ValueError(f"{part!r} is not NAME=VALUE")
        if name in found:
            raise ValueError(f"{name} is there twice")
        found[name] = value
    return found


def join_pairs(table: Mapping[str, object]) -> str:
    """A table of the file as the text of a flag. Raises ValueError unless all values are numbers or texts."""
    for name, value in table.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"{name} must be a number or a text")
    return ",".join(f"{name}={value}" for name, value in table.items())


def running_limits(text: str) -> dict[str, int]:
    """Limits of running jobs by `TYPE` or `NAMESPACE:TYPE`. Raises ValueError."""
    found = {}
    for name, value in pairs(text).items():
        if not all(_NAME.fullmatch(part) for part in name.split(":", 1)):
            raise ValueError(f"{name} is not TYPE or NAMESPACE:TYPE")
        if not value.isdecimal() or not 1 <= int(value) <= 1_000_000:
            raise ValueError(f"{name} must be a whole number from 1 to 1000000")
        found[name] = int(value)
    return found


def retention_words(limits: Limits) -> str:
    """The retention of ended jobs for the log: `default=30d, FAILED=12h`."""
    spans = {"default": limits.retention_default, **limits.retention}
    return ", ".join(f"{name}={_span_words(span)}" for name, span in spans.items())


def _span_words(span: timedelta) -> str:
    """The exact span in the form that `job_retention` parses: `12h`, `1.5s`."""
    seconds = span.total_seconds()
    whole = (unit for unit, size in reversed(_UNITS.items()) if seconds % size == 0)
    unit = next(whole, "s")
    return f"{seconds / _UNITS[unit]:.15g}{unit}"


def job_retention(text: str) -> dict[str, timedelta]:
    """The retention of ended jobs by `STATE` or `NAMESPACE:STATE`: a terminal state, or `default`.

    Times have units: `90s`, `12h`, `1d12h`. Raises ValueError.
    """
    found = {}
    longest = Limits().retention_max
    for name, value in pairs(text).items():
        namespace, colon, state = name.rpartition(":")
        if state not in ENDS or (colon and not _NAME.fullmatch(namespace)):
            raise ValueError(f"{name} is not STATE or NAMESPACE:STATE; states: {', '.join(sorted(ENDS))}")
        try:
            kept = parse_span(value)
        except ValueError as error:
            if "has no unit" in str(error):
                raise ValueError(
                    f"{name}={value} has no unit: write {name}={value}d for days, or {value}h, {value}s"
                ) from None
            kept = timedelta(0)
        if not timedelta(0) < kept <= longest:
            raise ValueError(
                f"{name}={value} must be a time like 12h or 30d, more than 0s and up to {longest.days}d"
            )
        found[name] = kept
    return found
