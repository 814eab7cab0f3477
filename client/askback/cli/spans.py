"""Times as people type them: options that take a span (`4h`) or a point in time."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|s|m|h|d|w)", re.ASCII)
_MOST_SECONDS = 315_576_000_000
"""10,000 years, the longest google.protobuf.Duration."""


class Span(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """A span longer than nothing, with units: `90s`, `15m`, `4h`, `1d12h`."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The span."""
        if isinstance(value, timedelta):
            return value
        text = str(value).strip().lower()
        if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", text):
            self.fail(f"{value!r} has no unit; write {text}s, {text}m, {text}h or {text}d", param, ctx)
        if not text or _PART.sub("", text).strip():
            self.fail(f"{value!r} is not a span of time; write 90s, 15m, 4h or 1d12h", param, ctx)
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        if not seconds <= _MOST_SECONDS:
            self.fail(f"{value!r} is too long", param, ctx)
        span = timedelta(seconds=seconds)
        if span <= timedelta(0):
            self.fail(f"{value!r} must be longer than 0 s; leave the option out for none", param, ctx)
        return span


class Seconds(click.FloatRange):
    """A number of seconds, at least 0.1; NaN and infinity are refused."""

    def __init__(self) -> None:
        super().__init__(min=0.1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return number


class Step(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """What comes after a span: `1h=group:leads,user:ana`."""

    name = "step"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[timedelta, tuple[str, ...]]:
        """The span, and the names."""
        if isinstance(value, tuple):
            return value
        span, _, names = str(value).partition("=")
        if not names:
            self.fail(f"{value!r} names nobody; write 1h=group:leads", param, ctx)
        return Span().convert(span, param, ctx), tuple(name.strip() for name in names.split(","))


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """A point in time with its zone, `2026-11-25T08:00+01:00` or `…T07:00Z`, or a span: so long ago."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The point in time, aware."""
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return self._ago(text, param, ctx)
        if moment.utcoffset() is None:
            day = text if "T" in text or " " in text else f"{text}T00:00"
            self.fail(f"{value!r} has no time zone; write {day}Z for UTC, or {day}+01:00", param, ctx)
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            self.fail(f"{value!r} is outside the years 1 to 9999 in UTC", param, ctx)

    def _ago(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            span = Span().convert(text, None, None)
        except click.BadParameter as error:
            hint = f" ({error.message})" if "unit" in error.message else ""
            self.fail(
                f"{text!r} is not a time; write 2026-11-25T08:00Z, or 4h: so long ago{hint}", param, ctx
            )
        try:
            return datetime.now(UTC) - span
        except OverflowError:
            return datetime.min.replace(tzinfo=UTC)
