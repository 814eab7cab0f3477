"""Texts of times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from askback_server.domain.chain import time_text
from askback_server.domain.instants import iso_text

_TIMES = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]))
_STEPS = st.lists(st.integers(0, 3_000_000), max_size=4)


@given(_TIMES.filter(lambda at: 1000 < at.year < 9999), _STEPS)
def test_times_as_iso_texts(start: datetime, steps: list[int]) -> None:
    """Times that follow each other within a second or not, before and after 1970."""
    for step in [0, *steps]:
        at = start + timedelta(microseconds=step)
        assert iso_text(at) == at.astimezone(UTC).isoformat(timespec="microseconds")


@given(_TIMES)
def test_times_in_a_hash(at: datetime) -> None:
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    assert time_text(at) == str(since // timedelta(microseconds=1))
