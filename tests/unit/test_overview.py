"""The figures of an overview: buckets, percentiles, windows and sums."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback_server.domain.errors import InvalidField
from askback_server.domain.overview import (
    BOUNDS,
    LONGEST,
    MAX_TYPES,
    NO_TIME,
    SHORTEST,
    Counts,
    Measure,
    WaitingGroup,
    Window,
    bucket_of,
    percentile,
    sum_activity,
    sum_waiting,
)

NOW = datetime(2026, 11, 29, 14, 40, 42, tzinfo=UTC)
HOUR = timedelta(hours=1)
FACTOR = 1.27
ANSWERED = Measure.PROMPTS_ANSWERED


def test_the_bounds_never_change() -> None:
    """Stored counts name buckets by number."""
    assert len(BOUNDS) == 66
    assert BOUNDS[:7] == (1.0, 1.26, 1.587, 2.0, 2.52, 3.175, 4.0)
    assert BOUNDS[-1] == pytest.approx(38.53 * 86_400, rel=1e-3)
    assert all(1 < upper / lower < FACTOR for lower, upper in pairwise(BOUNDS))


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, 0), (0.999, 0), (1.0, 1), (1.259, 1), (1.26, 2), (2.0, 4), (1e9, 66)]
)
def test_a_bound_belongs_to_the_bucket_above_it(seconds: float, bucket: int) -> None:
    assert bucket_of(seconds) == bucket


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ratio", [0.5, 0.9, 0.99])
def test_percentiles_are_close_to_the_exact_values(seed: int, ratio: float) -> None:
    rng = random.Random(seed)
    times = sorted(rng.lognormvariate(5, 2) + 1 for _ in range(1_000))
    buckets: dict[int, int] = {}
    for seconds in times:
        buckets[bucket_of(seconds)] = buckets.get(bucket_of(seconds), 0) + 1
    exact = times[round(ratio * len(times)) - 1]
    found = percentile(buckets, ratio)
    assert found is not None
    assert exact / FACTOR <= found.total_seconds() <= exact * FACTOR


@given(st.lists(st.floats(0, 1e8), min_size=1, max_size=50), st.floats(0.01, 1))
def test_a_percentile_is_in_the_bucket_of_the_exact_value(times: list[float], ratio: float) -> None:
    buckets: dict[int, int] = {}
    for seconds in times:
        buckets[bucket_of(seconds)] = buckets.get(bucket_of(seconds), 0) + 1
    found = percentile(buckets, ratio)
    assert found is not None
    exact = sorted(times)[ceil(ratio * len(times)) - 1]
    bucket = bucket_of(exact)
    lower = BOUNDS[bucket - 1] if bucket > 0 else 0.0
    upper = BOUNDS[min(bucket, len(BOUNDS) - 1)]
    assert lower - 1e-3 <= found.total_seconds() <= upper + 1e-3


def test_percentiles_need_known_times() -> None:
    assert percentile({}, 0.5) is None
    assert percentile({NO_TIME: 7}, 0.5) is None
    assert percentile({NO_TIME: 7, 3: 0}, 0.5) is None
    assert percentile({NO_TIME: 700, 66: 1}, 0.99) == timedelta(seconds=BOUNDS[-1])


@pytest.mark.parametrize(
    ("span", "step", "points"),
    [(HOUR, 1, 2), (24 * HOUR, 1, 25), (48 * HOUR, 1, 49), (168 * HOUR, 3, 57), (720 * HOUR, 12, 61)],
)
def test_a_window_is_made_of_full_steps(span: timedelta, step: int, points: int) -> None:
    window = Window.until(NOW, span)
    assert window.step == step * HOUR
    assert len(window.starts) == points
    assert window.start <= NOW - span < window.start + window.step
    assert window.starts[-1] < NOW <= window.starts[-1] + window.step
    assert all(start.hour % step == 0 and start.minute == start.second == 0 for start in window.starts)
    # A minute later the points are the same.
    assert Window.until(NOW + timedelta(minutes=1), span).starts == window.starts


def test_a_window_that_ends_at_a_full_hour_has_no_empty_step() -> None:
    window = Window.until(NOW.replace(minute=0, second=0), HOUR)
    assert window.starts == [datetime(2026, 11, 29, 13, tzinfo=UTC)]


@pytest.mark.parametrize("span", [SHORTEST - timedelta(seconds=1), LONGEST + timedelta(seconds=1)])
def test_a_window_has_a_length_from_an_hour_to_thirty_days(span: timedelta) -> None:
    with pytest.raises(InvalidField, match="window"):
        Window.until(NOW, span)


def test_activity_is_summed_up_by_point_and_type() -> None:
    window = Window.until(NOW, HOUR)
    points = [(0, ANSWERED, 3, 2), (1, ANSWERED, 3, 1), (1, Measure.JOBS_CREATED, 0, 5)]
    types = [("mail", "confirm", ANSWERED, 3, 3), ("mail", "", Measure.JOBS_CREATED, 0, 5)]
    found = sum_activity(window, points, types, NOW)
    assert [p.by_measure[ANSWERED] for p in found.points] == [2, 1]
    assert found.total.buckets == {3: 3}
    assert found.total.by_measure == {ANSWERED: 3, Measure.JOBS_CREATED: 5}
    assert list(found.by_type) == [("mail", ""), ("mail", "confirm")]


def test_the_list_of_types_is_bounded() -> None:
    types = [(f"t{n:03}", "", Measure.JOBS_CREATED, 0, 1) for n in range(MAX_TYPES + 5)]
    types.append(("big", "", Measure.JOBS_CREATED, 0, 9))
    found = sum_activity(Window.until(NOW, HOUR), [], types, None)
    assert len(found.by_type) == MAX_TYPES
    assert next(iter(found.by_type)) == ("big", "")


def test_only_answers_of_people_have_times() -> None:
    counts = Counts()
    for measure in Measure:
        counts.add(measure, 2, 1)
    assert counts.buckets == {2: 1}
    assert counts.weight == len(Measure)


def test_open_prompts_are_summed_up_by_kind_and_priority() -> None:
    found = sum_waiting(
        [
            WaitingGroup("confirm", 0, (1, 0, 0, 0, 0, 2), 1),
            WaitingGroup("confirm", 9, (0, 1, 0, 0, 0, 0), 0),
            WaitingGroup("clarify", 9, (0, 0, 0, 0, 3, 3), 3),
        ],
        partial=False,
    )
    assert (found.all.total, found.all.unattended) == (10, 4)
    assert found.all.by_age == [1, 1, 0, 0, 3, 5]
    assert {kind: counts.total for kind, counts in found.by_kind.items()} == {"clarify": 6, "confirm": 4}
    assert list(found.by_kind) == ["clarify", "confirm"]
    assert list(found.by_priority) == [9, 0]
    assert found.by_priority[9].by_age == [0, 1, 0, 0, 3, 3]
