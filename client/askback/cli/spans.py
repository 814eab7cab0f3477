"""Times as people type them: options that take a span (`4h`) or a point in time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|s|m|h|d|w)")


class Span(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """A span such as `90s`, `15m`, `4h`, `1d12h`; a plain number is seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The span."""
        if isinstance(value, timedelta):
            return value
        text = str(value).strip().lower()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return timedelta(seconds=float(text))
        if not text or _PART.sub("", text).strip():
            self.fail(f"{value!r} is not a span of time; write 90s, 15m, 4h or 1d12h", param, ctx)
        try:
            return timedelta(seconds=sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(text)))
        except OverflowError:
            self.fail(f"{value!r} is too long", param, ctx)


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """A point in time: `2026-11-25T08:00`, local if it has no zone, or a span: so long ago."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The point in time, aware."""
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromisoformat(str(value)).astimezone(UTC)
        except ValueError:
            pass
        try:
            return datetime.now(UTC) - Span().convert(value, None, None)
        except click.BadParameter:
            self.fail(f"{value!r} is not a time; write 2026-11-25T08:00, or 4h: so long ago", param, ctx)
