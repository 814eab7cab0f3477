"""Click parameter types for times: a span (`4h`), a point in time, an escalation step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from askback._text.spans import parse_span


class Span(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """A span greater than zero, with units: `90s`, `15m`, `4h`, `1d12h`."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse the span."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_span(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Seconds(Span):
    """A span of at least 100 ms, as seconds: `3s`, `500ms`, `1m`."""

    LEAST = timedelta(milliseconds=100)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse the span into seconds, a float."""
        if isinstance(value, float):
            return value
        span = super().convert(value, param, ctx)
        if span < self.LEAST:
            self.fail(f"{value!r} is too short; at least 100ms", param, ctx)
        return span.total_seconds()


class EscalationStep(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """A step of an escalation, a span and names: `1h=group:leads,user:ana`."""

    name = "step"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[timedelta, tuple[str, ...]]:
        """Parse the span and the names."""
        if isinstance(value, tuple):
            return value
        span, _, names = str(value).partition("=")
        if not names:
            self.fail(f"{value!r} names no one; write 1h=group:leads", param, ctx)
        return Span().convert(span, param, ctx), tuple(name.strip() for name in names.split(","))


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.5
    """A point in time with its zone, `2026-11-25T08:00+01:00` or `…T07:00Z`, or a span before now."""

    name = "time"
    span_is = "so long ago"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse the point in time into an aware datetime."""
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return self._from_span(text, param, ctx)
        if moment.utcoffset() is None:
            day = text if "T" in text or " " in text else f"{text}T00:00"
            self.fail(f"{value!r} has no time zone; write {day}Z for UTC, or {day}+01:00", param, ctx)
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            self.fail(f"{value!r} is outside the years 1 to 9999 in UTC", param, ctx)

    def _from_span(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            span = Span().convert(text, None, None)
        except click.BadParameter as error:
            hint = f" ({error.message})" if "unit" in error.message else ""
            self.fail(
                f"{text!r} is not a time; write 2026-11-25T08:00Z, or 4h: {self.span_is}{hint}", param, ctx
            )
        try:
            return self._shift(datetime.now(UTC), span)
        except OverflowError:
            return self._limit()

    def _shift(self, now: datetime, span: timedelta) -> datetime:
        return now - span

    def _limit(self) -> datetime:
        return datetime.min.replace(tzinfo=UTC)


class LocalTime(Moment):
    """A point in time in the local zone, unless it has another: `2026-12-04` (when that day begins),
    `2026-12-04T13:00`; or a span from now."""

    span_is = "so long from now"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse the point in time into an aware datetime."""
        try:
            local = datetime.fromisoformat(str(value).strip())
            if local.utcoffset() is None:
                return super().convert(local.astimezone().isoformat(), param, ctx)
        except (ValueError, OverflowError, OSError):
            pass  # not a local time
        return super().convert(value, param, ctx)

    def _shift(self, now: datetime, span: timedelta) -> datetime:
        return now + span

    def _limit(self) -> datetime:
        return datetime.max.replace(tzinfo=UTC)


class Later(Moment):
    """A point in time in the future, with its zone, or a span from now."""

    span_is = "so long from now"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse the point in time into an aware datetime."""
        moment = super().convert(value, param, ctx)
        if moment <= datetime.now(UTC):
            self.fail(f"{value!r} has passed", param, ctx)
        return moment

    def _shift(self, now: datetime, span: timedelta) -> datetime:
        return now + span

    def _limit(self) -> datetime:
        return datetime.max.replace(tzinfo=UTC)
