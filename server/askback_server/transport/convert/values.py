"""Values that many messages have: times, durations, ids, namespaces, page sizes.

Functions named `put_…` fill a field of a message in place, which is the fastest way to set it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from askback.v1 import job_pb2, worker_service_pb2
from askback_server.domain.checks import Checker
from askback_server.domain.errors import InvalidField, JobNotFound
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal
from askback_server.domain.violations import Violations
from askback_server.ports.clock import is_id, is_suffix

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS = 86_400
# The bounds that google.protobuf defines for Timestamp and Duration.
_FIRST_SECOND = -62_135_596_800
_LAST_SECOND = 253_402_300_799
_MAX_DURATION_SECONDS = 315_576_000_000
_NANOS_PER_SECOND = 1_000_000_000


def put_time(target: Timestamp, moment: datetime) -> None:
    """Set a time field, exact to the microsecond."""
    since = moment - _EPOCH
    target.seconds = since.days * _DAY_SECONDS + since.seconds
    target.nanos = since.microseconds * 1000


def timestamp(moment: datetime) -> Timestamp:
    """A new message with this time."""
    message = Timestamp()
    put_time(message, moment)
    return message


def put_span(target: Duration, span: timedelta) -> None:
    """Set a duration field, exact to the microsecond."""
    if span.days < 0:  # seconds and nanos of a Duration have the same sign
        span = -span
        target.seconds = -(span.days * _DAY_SECONDS + span.seconds)
        target.nanos = -span.microseconds * 1000
    else:
        target.seconds = span.days * _DAY_SECONDS + span.seconds
        target.nanos = span.microseconds * 1000


def duration(span: timedelta) -> Duration:
    """A new message with this duration."""
    message = Duration()
    put_span(message, span)
    return message


def span(message: Duration, field: str) -> timedelta:
    """A duration longer than 0 s. Raises InvalidField."""
    sent = any_span(message, field)
    check = Violations()
    check.positive(field, sent)
    check.done()
    return sent


def any_span(message: Duration, field: str) -> timedelta:
    """A duration of either sign, cut to microseconds. Raises InvalidField for an invalid message."""
    seconds, nanos = message.seconds, message.nanos
    if abs(seconds) > _MAX_DURATION_SECONDS or abs(nanos) >= _NANOS_PER_SECOND:
        raise InvalidField.of(field, "is not a google.protobuf.Duration: seconds or nanos are out of range")
    if (seconds < 0 < nanos) or (nanos < 0 < seconds):
        raise InvalidField.of(field, "is not a google.protobuf.Duration: seconds and nanos differ in sign")
    return timedelta(seconds=seconds, microseconds=int(nanos / 1000))


def moment(message: Timestamp, field: str) -> datetime:
    """A time, cut to microseconds. Raises InvalidField for an invalid message."""
    seconds, nanos = message.seconds, message.nanos
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND or not 0 <= nanos < _NANOS_PER_SECOND:
        raise InvalidField.of(field, "is not a google.protobuf.Timestamp: seconds or nanos are out of range")
    return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)


def job_id(value: str, field: str = "job_id") -> str:
    """A well-formed job id. Raises InvalidField if it is empty, JobNotFound if it is malformed."""
    if is_id(value):
        return value
    if not value:
        raise InvalidField.of(field, "is required")
    raise JobNotFound(value)


def id_suffix(value: str, field: str) -> str:
    """The end of an id; empty for any id. Raises InvalidField."""
    if value and not is_suffix(value):
        raise InvalidField.of(field, "must be the last 6 to 36 characters of an id, in lower case")
    return value


def namespace(asked: str, principal: Principal) -> str:
    """The namespace of a request. Raises PermissionDenied, InvalidField for a malformed name."""
    name = principal.namespace(asked)
    if asked and (asked == "*" or asked not in principal.namespaces):  # allowed by the wildcard only
        check = Checker(_LIMITS)
        check.name("namespace", asked)
        check.done()
    return name


def any_labels(check: Violations, conditions: Iterable[job_pb2.LabelCondition]) -> dict[str, tuple[str, ...]]:
    """The `any_labels` of a filter: the accepted values by label name. Notes violations in `check`.

    Conditions on the same label are combined: only values that all of them name are accepted.
    """
    wanted: dict[str, tuple[str, ...]] = {}
    for index, condition in enumerate(conditions):
        at = f"filter.any_labels[{index}]"
        check.storable(at, (condition.name, *condition.values))
        if not condition.name:
            check.bad(f"{at}.name", "is required")
        if not condition.values:
            check.bad(f"{at}.values", "is required: the values of which the label has one")
        before = wanted.get(condition.name)
        wanted[condition.name] = tuple(v for v in condition.values if before is None or v in before)
    return wanted


_LIMITS = Limits()


def page_size(asked: int, limits: Limits) -> int:
    """The size of a page: the default for 0, and at most the limit. Raises InvalidField."""
    if asked < 0:
        raise InvalidField.of("page_size", "must not be negative; 0 means the default")
    return min(asked or limits.default_page_size, limits.page_size)


def wait_seconds(
    request: worker_service_pb2.LeaseJobsRequest | worker_service_pb2.AwaitPromptRequest, limits: Limits
) -> float:
    """How long a long poll waits: 0 if `wait` is unset, and at most the limit. Raises InvalidField."""
    if not request.HasField("wait"):
        return 0.0
    return min(span(request.wait, "wait"), limits.wait_max).total_seconds()
