"""`make profile`: stacks and their buckets, instructions by library, and their division among buckets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import askback_server
from tests.bench import flame
from tests.bench.buckets import NO_PYTHON, bucket_of, by_bucket, by_function, read_samples, weigh
from tests.bench.instructions import Counts, a_trip, own_cost
from tests.bench.profile import Counted, Profile

SERVER = Path(askback_server.__file__).parent
RULES = f"decide ({SERVER}/domain/job_rules.py:10)"
ENGINE = f"run ({SERVER}/engine/engine.py:100)"
LOOP = "run (/usr/lib/python3.11/asyncio/runners.py:118)"
RAW = f"""\
thread (7): MainThread;{LOOP} 30
thread (7): MainThread;{LOOP};{ENGINE};{RULES} 60
thread (7): MainThread;{LOOP};{ENGINE};{RULES};dump (/x/site-packages/pydantic/main.py:5) 10
thread (8): writer;_worker (/usr/lib/python3.11/concurrent/futures/thread.py:81) 5
"""


def line_with(file: str, text: str) -> int:
    lines = (SERVER / file).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.mark.parametrize(
    ("stack", "bucket"),
    [
        ((LOOP, ENGINE, RULES), "rules"),
        ((LOOP, ENGINE), "engine"),
        ((LOOP,), "gRPC"),
        ((f"serve ({SERVER}/__main__.py:60)", LOOP), "gRPC"),
        ((ENGINE, f"count ({SERVER}/metrics/meter.py:1)"), "engine"),
        ((ENGINE, f"x ({SERVER}/transport/convert/prompts.py:1)"), "conversion"),
        ((ENGINE, f"x ({SERVER}/transport/frames_work.py:1)"), "conversion"),
        ((ENGINE, f"x ({SERVER}/transport/errors.py:1)"), "streams"),
        ((f"x ({SERVER}/storage/sqlite.py:1)", "y (/x/site-packages/sqlalchemy/engine.py:2)"), "storage"),
        (("y (/x/site-packages/aiosqlite/core.py:2)",), "storage"),
        (
            (
                ENGINE,
                f"w ({SERVER}/transport/streams.py:{line_with('transport/streams.py', 'context.write(')})",
            ),
            "gRPC",
        ),
        ((ENGINE, f"w ({SERVER}/transport/streams.py:1)"), "streams"),
    ],
)
def test_a_stack_belongs_to_the_innermost_code_of_askback(stack: tuple[str, ...], bucket: str) -> None:
    assert bucket_of(stack) == bucket


def test_every_package_of_the_server_on_the_path_of_a_trip_has_a_bucket() -> None:
    for package in ("domain", "engine", "feed", "ports", "sessions", "storage", "transport"):
        assert bucket_of((f"x ({SERVER}/{package}/x.py:1)",)) != "gRPC"


def test_samples_share_what_their_thread_used() -> None:
    weights = weigh(read_samples(RAW), {7: 200.0, 8: 50.0, 9: 25.0})
    assert by_bucket(weights) == {
        "rules": 140.0, "conversion": 0.0, "engine": 0.0, "storage": 50.0, "streams": 0.0, "gRPC": 85.0,
    }  # fmt: skip
    assert weights[(NO_PYTHON,)] == 25.0
    functions = by_function(weights)
    assert functions["rules", "decide (domain/job_rules.py)"] == 140.0
    assert functions["gRPC", "run (asyncio/runners.py)"] == 60.0


def test_the_flame_graph_shows_buckets_and_frames() -> None:
    picture = flame.svg("A <title>", "µs", weigh(read_samples(RAW), {7: 200.0, 8: 50.0}))
    assert "A &lt;title&gt;" in picture
    assert "rules 140 µs, 56 %" in picture
    assert "<title>decide (domain/job_rules.py): 140.0 µs a trip, 56.0 %</title>" in picture


CALLGRIND = """\
events: Ir
ob=(1) /usr/lib/libpython3.11.so
fl=(1) ceval.c
fn=(1) eval
10 100
+5 20
cob=(2) /usr/lib/libsqlite3.so
cfn=(2) step
calls=3 50
* 700
-2 7
ob=(2)
fn=(2)
50 700
summary: 827
"""


def test_instructions_of_calls_count_once_for_the_library_that_is_called() -> None:
    assert own_cost(CALLGRIND) == {"libpython3.11.so": 127, "libsqlite3.so": 700}


def test_idle_instructions_are_subtracted_and_threads_are_grouped() -> None:
    python, native = "libpython3.11.so", "cygrpc.so"
    busy = Counts({
        1: Counter({python: 1_000, native: 200}),
        2: Counter({python: 500}),
        3: Counter({python: 10, native: 90}),
    })  # fmt: skip
    idle = Counts({1: Counter({python: 100})})
    assert a_trip(busy, idle, 2.0, 10) == {
        "main thread": {python: 80, native: 20},
        "other Python threads": {python: 50},
        "threads without Python": {python: 1, native: 9},
    }


def test_buckets_share_the_instructions_beyond_those_of_the_bare_floor() -> None:
    profile = Profile(read_samples(RAW), {7: 200.0, 8: 50.0}, 1)
    counted = Counted(
        {
            "main thread": Counter(python=1_000),
            "other Python threads": Counter(python=300),
            "threads without Python": Counter(grpc=50),
        },
        {"main thread": Counter(python=240), "threads without Python": Counter(grpc=10)},
    )
    found = counted.by_bucket(profile)
    assert found["gRPC"] == 250
    assert found["rules"] == 800
    assert found["storage"] == 300
    assert sum(found.values()) == 1_350
