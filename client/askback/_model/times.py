"""Checks times and durations and converts them between Python and the contract."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from askback._model.nonretryable import InvalidTime

MAX_DURATION = timedelta(seconds=315_576_000_000)
"""The longest google.protobuf.Duration: 10,000 years."""


def moment(message: Message, field: str) -> datetime | None:
    """A timestamp field as an aware datetime in UTC; None if it is not set."""
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(tzinfo=UTC)


def aware(when: datetime, name: str) -> datetime:
    """Convert the argument `name`, a datetime with a time zone, to UTC.

    Raises InvalidTime for a naive datetime (its zone would be a guess) and for one outside the years 1 to
    9999 in UTC, TypeError for anything else.
    """
    if not isinstance(when, datetime):
        raise TypeError(f"{name}= takes a datetime with a time zone, not {when!r}")
    if when.utcoffset() is None:
        raise InvalidTime(
            f"{name}={when!r} has no time zone: use datetime.now(timezone.utc), or when.astimezone() "
            "if it is local time"
        )
    try:
        return when.astimezone(UTC)
    except OverflowError:
        raise InvalidTime(f"{name}={when!r} is outside the years 1 to 9999 in UTC") from None


def span(value: timedelta | float, name: str) -> timedelta:
    """Convert the argument `name`, a timedelta or a number of seconds, to a timedelta.

    Raises InvalidTime unless it is longer than 0 s and at most 10,000 years, and for NaN; TypeError for
    anything else, bool included.
    """
    if isinstance(value, timedelta):
        result = value
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}= takes a timedelta or a number of seconds, not {value!r}")
    else:
        try:
            result = timedelta(seconds=value)
        except (OverflowError, ValueError):  # infinite or too large; NaN
            raise InvalidTime(f"{name}={value!r} is not a finite span of time") from None
    if result <= timedelta(0):
        raise InvalidTime(f"{name}={value!r} must be longer than 0 s")
    if result > MAX_DURATION:
        raise InvalidTime(f"{name}={value!r} is longer than 10,000 years")
    return result


def seconds(value: timedelta | float, name: str) -> float:
    """Like `span`, but returns seconds."""
    return span(value, name).total_seconds()


def timestamp(when: datetime, name: str = "when") -> Timestamp:
    """Convert the argument `name`, an aware datetime, to a timestamp. Raises the errors of `aware`."""
    stamp = Timestamp()
    stamp.FromDatetime(aware(when, name))
    return stamp


def duration(value: timedelta | float, name: str) -> Duration:
    """Convert the argument `name`, a timedelta or a number of seconds, to a duration. Raises like `span`."""
    result = Duration()
    result.FromTimedelta(span(value, name))
    return result
