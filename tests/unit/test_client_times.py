"""Invalid times in arguments of the SDK: naive, out of range, zero, negative or not a number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest

from askback import Client, InvalidTime, NonRetryable, Worker
from askback._model.content import prompt_content
from askback._model.escalation import After, Remind
from askback._model.times import MAX_DURATION, duration, span, timestamp

NAIVE = datetime(2030, 1, 1, 12)
AWARE = NAIVE.replace(tzinfo=UTC)
NOT_SPANS: list[Any] = [
    0,
    0.0,
    -1,
    -0.5,
    float("nan"),
    float("inf"),
    float("-inf"),
    1e300,
    10**400,
    -(10**400),
    1e-9,
    timedelta(0),
    timedelta(seconds=-5),
    timedelta.min,
    timedelta.max,
]
NOT_TIMES: list[Any] = [True, False, "4h", "1", b"1", [1], {}, 1j, object()]


class _NoOffset(tzinfo):
    """A time zone without an offset, which is as bad as none."""

    def utcoffset(self, when: datetime | None) -> None:
        return None


def question(**options: Any) -> Any:
    return prompt_content("Go?", kind="confirm", **options)


def start_with(name: str) -> Callable[[Any], Any]:
    return lambda value: _refusal_of(_client().start("t", **{name: value}))


def _client() -> Client:
    return Client("127.0.0.1:1", deadline=0.05)


def _refusal_of(call: Any) -> Any:
    """The error that a call raises before it contacts a server."""
    try:
        call.send(None)
    except StopIteration as stop:
        return stop.value
    finally:
        call.close()
    raise AssertionError("it was not refused")


async def _list_jobs(**options: Any) -> Any:
    return [job async for job in _client().list(**options)]


SPANS: dict[str, Callable[[Any], Any]] = {
    "deadline": lambda v: question(deadline=v),
    "remind": lambda v: question(remind=v),
    "every": lambda v: question(remind=Remind(v)),
    "after": lambda v: question(remind=Remind(60, after=v)),
    "after (step)": lambda v: question(escalate=[After(v).to("user:ann")]),
    "delay": start_with("delay"),
    "timeout": start_with("timeout"),
    "run_timeout": start_with("run_timeout"),
    "retention": start_with("retention"),
    "retention (ask)": lambda v: _refusal_of(_client().ask("Go?", retention=v)),
    "retention (update)": lambda v: _refusal_of(_client().update("id", retention=v)),
    "deadline (ask)": lambda v: _refusal_of(_client().ask("Go?", deadline=v)),
    "seconds": lambda v: _refusal_of(_client().claim("id", v)),
    "deadline (client)": lambda v: Client("127.0.0.1:1", deadline=v),
    "connect_timeout": lambda v: _client().console(connect_timeout=v),
    "park_after": lambda v: Worker("127.0.0.1:1", park_after=v),
    "drain_timeout": lambda v: Worker("127.0.0.1:1", drain_timeout=v),
    "timeout (worker)": lambda v: _refusal_of(Worker("127.0.0.1:1").start(v)),
}
MOMENTS: dict[str, Callable[[Any], Any]] = {
    "deadline": lambda v: question(deadline=v),
    "deadline (ask)": lambda v: _refusal_of(_client().ask("Go?", deadline=v)),
    "delay": start_with("delay"),
    "created_after": lambda v: _refusal_of(_list_jobs(created_after=v)),
    "created_before": lambda v: _refusal_of(_list_jobs(created_before=v)),
}


@pytest.mark.parametrize("where", SPANS)
def test_an_invalid_span_is_refused_with_the_name_of_the_argument(where: str) -> None:
    assert accepted(where, NOT_SPANS, InvalidTime) == []


@pytest.mark.parametrize("where", SPANS)
def test_values_of_other_types_are_refused_as_spans(where: str) -> None:
    assert accepted(where, NOT_TIMES, TypeError) == []


def accepted(where: str, values: Iterable[Any], kind: type[Exception]) -> list[Any]:
    """The values that a call takes, or refuses without the name of the argument."""
    found = []
    for value in values:
        try:
            SPANS[where](value)
        except kind as error:
            if str(error).startswith(f"{where.partition(' ')[0]}="):
                continue
        found.append(value)
    return found


@pytest.mark.parametrize("value", [NAIVE, datetime.min, datetime.max, NAIVE.replace(tzinfo=_NoOffset())])
@pytest.mark.parametrize("where", MOMENTS)
def test_a_naive_datetime_is_refused_with_the_fix(where: str, value: datetime) -> None:
    with pytest.raises(InvalidTime, match=rf"^{where.partition(' ')[0]}=.*no time zone: use datetime.now"):
        MOMENTS[where](value)


@pytest.mark.parametrize("where", ["created_after", "created_before"])
def test_a_filter_accepts_datetimes_only(where: str) -> None:
    for value in (5, timedelta(hours=1), "2030-01-01", True):
        with pytest.raises(TypeError, match=f"^{where}="):
            MOMENTS[where](value)


def test_a_time_outside_the_calendar_is_refused() -> None:
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-14))
    for value in (datetime.min.replace(tzinfo=east), datetime.max.replace(tzinfo=west)):
        for where, call in MOMENTS.items():
            with pytest.raises(InvalidTime, match=rf"^{where.partition(' ')[0]}=.*1 to 9999"):
                call(value)


def test_an_invalid_time_fails_the_job_permanently() -> None:
    assert issubclass(InvalidTime, ValueError)
    assert issubclass(InvalidTime, NonRetryable)


def test_valid_spans_and_times_are_accepted() -> None:
    there = datetime(2030, 1, 1, 20, tzinfo=timezone(timedelta(hours=8)))
    assert timestamp(there) == timestamp(AWARE)
    assert span(1.5, "x") == timedelta(seconds=1.5)
    assert duration(MAX_DURATION, "x").ToTimedelta() == MAX_DURATION
    assert question(deadline=there).deadline == timestamp(AWARE)
    assert not question(deadline=there).HasField("timeout")
    assert question(deadline=90).timeout.seconds == 90
    past = datetime(1999, 1, 1, tzinfo=UTC)
    assert question(deadline=past, default=None).deadline.ToDatetime(UTC) == past
