"""The log of a worker: its server, outages, a blocked loop, and each failure once."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import re
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from askback import AskbackError, Client, Job, NonRetryable, PermissionDenied, Worker
from askback._worker.loop_watch import LoopWatch, code_of
from askback_server.config.settings import Config
from askback_server.lifecycle import Service
from tests.support.refusals import SOON
from tests.support.service import ServiceWorld, serving
from tests.support.waiting import until

FILE = re.escape(__file__)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="askback")
    return caplog


def _lines(log: pytest.LogCaptureFixture) -> list[str]:
    """The client's records."""
    own = ("askback.worker", "askback.stream", "askback.console")
    return [r.getMessage() for r in log.records if r.name in own and r.levelno >= logging.INFO]


@pytest.fixture
async def worker(lite: ServiceWorld) -> AsyncIterator[Worker]:
    yield (made := Worker(f"127.0.0.1:{lite.service.port}", worker_id="vm-1"))
    await made.aclose(drain_timeout=0)


async def _run_failing_job(lite: ServiceWorld, job_type: str) -> None:
    async with Client(f"127.0.0.1:{lite.service.port}") as client:
        with pytest.raises(AskbackError):
            await (await client.start(job_type, max_attempts=1)).result(timeout=30)


async def test_the_worker_logs_where_it_is_connected(
    lite: ServiceWorld, worker: Worker, log: pytest.LogCaptureFixture
) -> None:
    @worker.job("refund")
    async def refund(job: Job) -> None: ...

    @worker.job("import")
    async def load(job: Job) -> None: ...

    await worker.start()
    assert _lines(log) == [f"connected to 127.0.0.1:{lite.service.port} as vm-1, runs refund, import"]


async def test_the_worker_logs_one_line_for_an_outage_and_one_for_its_end(
    lite_url: str, log: pytest.LogCaptureFixture
) -> None:
    async with serving(lite_url) as world:
        target = f"127.0.0.1:{world.service.port}"
        worker = Worker(target, worker_id="vm-1")

        @worker.job("refund")
        async def refund(job: Job) -> None: ...

        await worker.start()
        desk = Client(target, user="ana").console()
        await desk.__aenter__()

    def log_lines() -> list[str]:
        return [re.sub(r"[\d.]+ s$", "N s", line) for line in _lines(log) if "connected to" not in line]

    # Each worker retries repeatedly and logs it once.
    await until(lambda: len(log_lines()) == 2)
    tries = worker._session._retries.backoff  # type: ignore[union-attr]
    before = tries.failures
    await until(lambda: tries.failures >= before + 2)
    assert len(log_lines()) == 2, log_lines()
    assert all("no connection to the server" in line for line in log_lines())
    log.clear()
    async with Service(Config(listen=target, db=lite_url, replica="r1", drain_grace=0.3)):
        await until(lambda: worker.connected and desk.connected)
        await until(lambda: len(log_lines()) == 2)
        assert sorted(log_lines()) == [
            f"console: the server {target} is back after N s",
            f"worker: the server {target} is back after N s",
        ]
        await worker.aclose(drain_timeout=0)
        await desk.aclose()


def fails_at(function: Callable[..., Any]) -> int:
    """The line of a function that is marked FAILS."""
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if "FAILS" in line)


async def test_an_unexpected_error_is_logged_once_with_the_users_line(
    lite: ServiceWorld, worker: Worker, log: pytest.LogCaptureFixture
) -> None:
    @worker.job("refund")
    async def refund(job: Job) -> None:
        raise ValueError("the order is odd")  # FAILS

    await worker.start()
    await _run_failing_job(lite, "refund")
    [record] = [r for r in log.records if r.name == "askback.worker" and r.levelno == logging.WARNING]
    text = logging.Formatter().format(record)
    assert text.count("the order is odd") == 2  # the line of code, and the error
    assert text.count("ValueError: the order is odd") == 1
    assert f'test_worker_log.py", line {fails_at(refund.function)}, in refund' in text
    assert text.index("test_worker_log.py") < text.index("raise ValueError")
    assert "runner.py" not in text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NonRetryable("not this one", code="Odd"), "Odd: not this one"),
        (PermissionDenied("may not"), "may not"),
    ],
    ids=["meant", "askback's"],
)
async def test_an_expected_error_is_logged_with_the_users_line(
    lite: ServiceWorld, worker: Worker, log: pytest.LogCaptureFixture, error: Exception, told: str
) -> None:
    @worker.job("refund")
    async def refund(job: Job) -> None:
        raise error  # FAILS

    await worker.start()
    await _run_failing_job(lite, "refund")
    [record] = [r for r in log.records if r.name == "askback.worker" and r.levelno == logging.WARNING]
    text = logging.Formatter().format(record)
    assert text.count(told) == 1
    assert re.search(rf"{FILE}\D+{fails_at(refund.function)}", text), text


async def test_an_error_of_a_question_names_the_line_that_asked(
    lite: ServiceWorld, worker: Worker, log: pytest.LogCaptureFixture
) -> None:
    @worker.job("refund")
    async def refund(job: Job) -> None:
        await job.confirm("Pay?", key="pay", to=["nobody at all"])  # FAILS

    await worker.start()
    await _run_failing_job(lite, "refund")
    [line] = [line for line in _lines(log) if "failed" in line]
    assert line.count("nobody at all") <= 2
    [record] = [r for r in log.records if r.name == "askback.worker" and r.levelno == logging.WARNING]
    assert f"{fails_at(refund.function)}" in logging.Formatter().format(record)


async def test_a_blocked_loop_is_logged_with_the_blocking_function(
    lite: ServiceWorld, worker: Worker, log: pytest.LogCaptureFixture
) -> None:
    @worker.job("block")
    async def block(job: Job) -> None:
        time.sleep(2)  # noqa: ASYNC251

    await worker.start()
    async with Client(f"127.0.0.1:{lite.service.port}") as client:
        await (await client.start("block")).result(timeout=30)
    await until(lambda: any("was blocked" in line for line in _lines(log)))
    # On a busy machine other functions may hold the loop for a second too.
    [line] = [line for line in _lines(log) if "blocked" in line and "'block'" in line]
    assert re.match(r"the event loop was blocked for \d s in 'block' \(.*test_worker_log.py:\d+\)", line), (
        line
    )
    assert "asyncio.to_thread" in line
    assert not [line for line in _lines(log) if "heartbeats" in line or "no connection" in line]


def _decorate(function: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(function)
    async def call(*args: Any) -> None:
        await function(*args)

    return call


class Bound:
    async def method(self, job: Job) -> None: ...

    async def __call__(self, job: Job) -> None: ...


async def plain(job: Job) -> None: ...


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (plain, "plain"),
        (functools.partial(plain), "plain"),
        (_decorate(plain), "plain"),
        (Bound().method, "method"),
        (Bound(), "__call__"),
    ],
)
def test_the_log_finds_the_code_of_every_job_function(function: Any, name: str) -> None:
    code = code_of(function)
    assert code is not None
    assert code.co_name == name


def _block(until: threading.Event) -> None:
    until.wait(10)


async def _child(until: threading.Event) -> None:
    _block(until)


async def _parent(until: threading.Event) -> None:
    await asyncio.gather(_child(until))


async def _in_a_callback(until: threading.Event) -> None:
    asyncio.get_running_loop().call_soon(_block, until)
    await asyncio.sleep(0.01)


async def _idle(until: threading.Event) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("work", "functions", "named"),
    [
        (_child, [("refund", _child)], "'refund'"),
        (_parent, [("refund", _parent)], "'_child'"),
        (_in_a_callback, [], "'_block'"),
        (_idle, [], ""),
    ],
)
def test_only_a_blocked_loop_is_reported_with_its_cause(work: Any, functions: Any, named: str) -> None:
    over = threading.Event()
    loop = asyncio.new_event_loop()
    task = loop.create_task(work(over))
    task.add_done_callback(lambda _: loop.stop())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    assert thread.ident is not None
    inside = {"_block"} if named else {"select", "poll"}
    end = time.monotonic() + 10
    while True:
        frame = sys._current_frames()[thread.ident]
        below = frame
        names = set()
        while below is not None:
            names.add(below.f_code.co_name)
            below = below.f_back  # type: ignore[assignment]
        if names & inside or time.monotonic() > end:
            break
        time.sleep(0.005)
    found = LoopWatch(functions)._describe(frame)
    over.set()
    loop.call_soon_threadsafe(task.cancel)
    thread.join(10)
    loop.close()
    assert found.split(" (")[0] == named


PROGRAM = """
import asyncio, logging, sys
from askback import Worker

if sys.argv[2:]:
    logging.basicConfig(level=sys.argv[2], format="own %(message)s")
class Once(Worker):
    async def start(self, *args, **options):
        await super().start(*args, **options)
        running.cancel()

worker = Once(sys.argv[1], worker_id="w-1")

@worker.job("refund")
async def refund(job): ...

async def main():
    global running
    running = asyncio.create_task(worker.run())
    await asyncio.wait([running])

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ([], "connected to {} as w-1, runs refund"),
        (["INFO"], "own connected to {} as w-1, runs refund"),
        (["WARNING"], ""),
    ],
)
async def test_a_worker_prints_that_it_runs_without_logging_set_up(
    lite: ServiceWorld, level: list[str], told: str
) -> None:
    target = f"127.0.0.1:{lite.service.port}"
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, target, *level, stderr=asyncio.subprocess.PIPE
    )
    _, err = await asyncio.wait_for(program.communicate(), SOON)
    assert told.format(target) == err.decode().strip()
