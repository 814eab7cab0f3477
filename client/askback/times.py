"""Times and spans between Python and the contract."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp


def moment(message: Message, field: str) -> datetime | None:
    """A timestamp field as an aware datetime in UTC; None if it is not set."""
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(tzinfo=UTC)


def timestamp(when: datetime) -> Timestamp:
    """An aware datetime (a naive one is local time) as a timestamp."""
    stamp = Timestamp()
    stamp.FromDatetime(when.astimezone(UTC))
    return stamp


def duration(span: timedelta | float) -> Duration:
    """A timedelta, or seconds, as a duration."""
    result = Duration()
    result.FromTimedelta(span if isinstance(span, timedelta) else timedelta(seconds=span))
    return result


def until(deadline: timedelta | float | datetime) -> timedelta:
    """How long from now: a datetime is counted down, anything else is a span already."""
    if isinstance(deadline, datetime):
        return deadline.astimezone(UTC) - datetime.now(UTC)
    return deadline if isinstance(deadline, timedelta) else timedelta(seconds=deadline)
