"""The statistics of `make bench`: pairing, medians, ranges, verdicts, resolution, rows, and its questions."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import Any

import pytest

from askback.v1 import prompt_pb2
from askback_server.domain.checks import normalise
from askback_server.domain.limits import Limits
from askback_server.transport.convert import contents
from tests.bench import paired, questions
from tests.bench.drive import Window
from tests.bench.paired import Row, Target, compare, judge, median_interval, resolution, to_json
from tests.bench.processes import cpu
from tests.bench.relay import _additions
from tests.bench.rounds import CASES, Measured, Sizes
from tests.bench.summary import Report

FLOORS = [100.0, 200.0, 50.0, 100.0, 400.0, 100.0, 100.0]
"""A machine that is fast in some rounds and slow in others."""
VALUES = [60.0, 110.0, 35.0, 60.0, 200.0, 70.0, 80.0]


def row(**changed: Any) -> Row:
    of = {"value": 60.0, "floor": 100.0, "ratio": 0.6, "low": 0.5, "high": 0.7, "rounds": 7} | changed
    return Row("trips", "sqlite", "rate", "per s", **of)


def test_a_ratio_is_the_median_of_the_ratios_of_rounds_and_not_the_ratio_of_medians() -> None:
    found = compare("trips", "sqlite", "rate", "per s", VALUES, FLOORS)
    assert (found.ratio, found.low, found.high) == (0.6, 0.5, 0.8)
    assert (found.value, found.floor, found.rounds) == (70.0, 100.0, 7)


def test_values_of_different_rounds_are_not_paired() -> None:
    with pytest.raises(ValueError, match="zip"):
        compare("trips", "sqlite", "rate", "per s", VALUES, FLOORS[:-1])


@pytest.mark.parametrize(
    ("target", "of", "verdict"),
    [
        (Target("trips", "sqlite", "rate", 0.6, "least"), {}, "PASS"),
        (Target("trips", "sqlite", "rate", 0.61, "least"), {}, "FAIL"),
        (Target("trips", "sqlite", "rate", 0.6, "most"), {}, "PASS"),
        (Target("trips", "sqlite", "rate", 0.59, "most"), {}, "FAIL"),
        # The median decides, not the best round.
        (Target("trips", "sqlite", "rate", 0.65, "least"), {"high": 2.0}, "FAIL"),
        (Target("trips", "sqlite", "rate", 0.6, "least"), {"low": 0.1}, "PASS"),
        (Target("trips", "sqlite", "rate", 0.6, "least"), {"rounds": 6}, "----"),
        (Target("trips", "sqlite", "rate", 4.0, of="value"), {"value": 4.1}, "FAIL"),
        (Target("trips", "sqlite", "rate", 4.0, of="value"), {"value": 3.9, "ratio": 9.0}, "PASS"),
    ],
)
def test_the_median_of_seven_rounds_decides(target: Target, of: dict[str, float], verdict: str) -> None:
    assert judge(row(**of), target) == verdict


def test_the_interval_of_a_median_needs_six_values_and_narrows_with_more() -> None:
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None
    assert median_interval([6.0, 2.0, 3.0, 4.0, 5.0, 1.0]) == (1.0, 6.0)
    assert median_interval([float(n) for n in range(1, 10)]) == (2.0, 8.0)


def test_the_interval_contains_the_median_as_often_as_it_says() -> None:
    source = random.Random(7)
    intervals = [median_interval([source.expovariate(1.0) for _ in range(9)]) for _ in range(2_000)]
    median = 0.6931
    share = sum(low <= median <= high for low, high in filter(None, intervals)) / 2_000
    assert 0.95 <= share <= 0.975


def test_the_resolution_is_the_far_end_of_the_interval() -> None:
    ones = [1.0] * 7
    assert resolution([0.9, 1.05, 1.0, 1.0, 1.0, 1.0, 1.0], ones) == pytest.approx(0.1)
    assert resolution([0.97, 1.2, 1.0, 1.0, 1.0, 1.0, 1.0], ones) == pytest.approx(0.2)
    assert resolution(ones[:5], ones[:5]) is None


def test_rows_are_json_with_four_digits() -> None:
    found = json.loads(to_json([row(ratio=0.123456), row()]))
    assert found[0] == {
        "case": "trips",
        "database": "sqlite",
        "metric": "rate",
        "unit": "per s",
        "value": 60.0,
        "floor": 100.0,
        "ratio": 0.1235,
        "low": 0.5,
        "high": 0.7,
        "rounds": 7,
    }
    assert len(found) == 2


def measured(rate: float, ms: float, database_cpu: float = 0.0, trips: int = 288) -> Measured:
    """A server that does `rate` trips per second in each of two turns, of different lengths."""
    found = Measured()
    found.windows["alone"].append(Window(trips, 1.0, [ms] * trips, 1.0, 0.0, 0.0, 0.0, 10.0))
    for case in CASES[1:]:
        for seconds in (1.0, 3.0):
            count = round(rate * seconds)
            cpu = 1e6 * seconds
            found.windows[case].append(
                Window(count, seconds, [1.0], cpu, database_cpu * count, 0.0, 0.0, bytes_in=10.0)
            )
    return found


def report(rounds: int, rate: float = 600.0, trips: int = 288) -> Report:
    one = {
        "bare": measured(2_000, 1.0),
        "floor": measured(1_000, 2.0),
        "askback": measured(rate, 3.0, trips=trips),
        "twin": measured(rate, 3.0),
    }
    return Report({"sqlite": [one] * rounds})


def test_a_report_compares_askback_with_the_durable_floor_and_that_with_the_bare_one() -> None:
    by_name = paired.by_name(report(7).rows)
    assert by_name["trips", "sqlite", "rate"].ratio == pytest.approx(0.6)
    assert by_name["trips", "sqlite", "rate"].value == pytest.approx(600)
    assert by_name["floor/trips", "sqlite", "rate"].ratio == pytest.approx(0.5)
    assert by_name["aa/trips", "sqlite", "rate"].ratio == 1.0
    assert by_name["alone", "sqlite", "p50"].ratio == 1.5
    assert by_name["trips", "sqlite", "server_cpu"].value == pytest.approx(1e6 / 600)
    assert ("trips", "sqlite", "database_cpu") not in by_name


def test_a_report_judges_after_seven_rounds_and_2000_trips() -> None:
    def verdicts(rounds: int, rate: float = 600.0, trips: int = 288) -> dict[str, str]:
        found = report(rounds, rate, trips).verdicts()
        lines = [line for _, line in found if line[:4] in ("PASS", "FAIL", "----")]
        return {" ".join(line.split()[2:4]).rstrip(":"): line[:4] for line in lines}

    assert {*verdicts(6).values()} == {"----"}
    found = verdicts(7)
    assert found["alone p50"] == "FAIL"
    assert found["alone p99_to_p50"] == found["trips rate"] == "PASS"
    assert verdicts(7, 590)["trips rate"] == "FAIL"
    few = verdicts(7, trips=285)
    assert (few["alone p99_to_p50"], few["alone p50"]) == ("----", "FAIL")


def test_a_round_without_a_value_is_left_out_of_the_pairs() -> None:
    def one(floor: float, askback: float) -> dict[str, Measured]:
        servers = {"bare": measured(100, 1.0), "floor": measured(100, 1.0, floor)}
        return servers | {of: measured(100, 1.0, askback) for of in ("askback", "twin")}

    rounds = [one(10.0, 20.0), one(0.0, 30.0), one(40.0, 120.0)]
    row = paired.by_name(Report({"postgres": rounds}).rows)["trips", "postgres", "database_cpu"]
    assert (row.ratio, row.low, row.high, row.rounds) == (2.5, 2.0, 3.0, 2)


def test_a_report_names_a_slow_floor() -> None:
    lines = [line for _, line in report(7).verdicts() if line.startswith("floor")]
    assert [line.split()[:5] for line in lines] == [
        ["floor", "ok:", "sqlite", "alone", "p50"],
        ["floor", "SLOW:", "sqlite", "trips", "rate"],
    ]


def test_the_cpu_of_children_that_have_ended_counts() -> None:
    """PostgreSQL's backends end, and their CPU time must not be lost."""
    burn = "python3 -c 'import time\nwhile time.process_time() < 0.2: pass'"
    command = ["sh", "-c", f"{burn.replace('python3', sys.executable)}; echo burnt; read -r _"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"burnt\n"
        assert cpu(process.pid)[0] >= 180_000
        process.communicate()


def test_a_table_has_a_row_for_each_metric_of_askback() -> None:
    lines = [line for line in report(7).text().splitlines() if line.startswith("| trips")]
    assert [line.split("|")[1].strip() for line in lines] == [
        "trips rate, per s",
        "trips server_cpu, µs",
        "trips bytes, bytes",
    ]
    assert [cell.strip() for cell in lines[0].split("|")[2:9]] == [
        "600", "1,000", "0.60", "0.60..0.60", ">= 0.6 PASS", "1.00..1.00", "0 %",
    ]  # fmt: skip


def test_a_share_of_the_sizes_keeps_a_trip_for_each_turn() -> None:
    small = Sizes().scaled(0.001)
    assert small.alone == small.alone_turns
    assert Sizes().alone * paired.LEAST_ROUNDS >= paired.LEAST_TRIPS


def test_questions_differ_and_come_in_the_same_order_for_every_client() -> None:
    one, other = questions.Questions(), questions.Questions()
    asked = [one.question(number) for number in range(1_000)]
    assert asked == [other.question(number) for number in range(1_000)]
    assert len({q.content.SerializeToString(deterministic=True) for q in asked}) == 1_000
    forms = {q.content.questions.SerializeToString(deterministic=True) for q in asked if q.values_json}
    assert len(forms) == sum(bool(q.values_json) for q in asked), "a cache of forms would help"
    assert {len(q.content.questions.questions) for q in asked} == {*questions.FIELDS}
    assert {*map(questions.parse_key, (q.key for q in asked))} == {(q.shape, q.number) for q in asked}


def test_the_floors_add_to_a_question_what_askback_adds() -> None:
    shapes = questions.shapes()
    for number in range(60):
        asked = questions.Questions().question(number)
        whole = contents.content_bytes(normalise(contents.content(asked.content, "content"), Limits(), None))
        floor = prompt_pb2.PromptContent()
        floor.CopyFrom(asked.content)
        floor.MergeFromString(questions.put_number(_additions(shapes[asked.shape]), number))
        assert floor == prompt_pb2.PromptContent.FromString(whole)
