"""A replica under test: `python -m tests.faults.replica`, configured by the server's environment variables.

Variables with the prefix `FAULTS_` add test features: `PLANT` (a planted bug), `FAILPOINTS`, `SLOW_COMMITS`
(share and seconds), `SKEW` (clock error in seconds), `HISTORY` (a file). It ends when its standard input
is closed. On SIGUSR1 it prints its tasks to standard error.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from askback_server import lifecycle
from askback_server.__main__ import serve
from askback_server.ports.clock import SystemClock
from tests.faults.failpoints import Failpoints, slow_commits
from tests.faults.history import Recorder
from tests.faults.plants import PLANTS


class SkewedClock(SystemClock):
    """This machine's clock plus a constant error."""

    def __init__(self, seconds: float) -> None:
        self._skew = timedelta(seconds=seconds)

    def now(self) -> datetime:
        """The current time with the error."""
        return super().now() + self._skew


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(9)


def _print_tasks(*_: object) -> None:
    """Print each task and the functions in which it waits, the innermost last."""
    for task in asyncio.all_tasks():
        waits: list[str] = []
        at: Any = task.get_coro()
        while at is not None:
            frame = getattr(at, "cr_frame", None) or getattr(at, "ag_frame", None)
            waits.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}" if frame is not None else repr(at))
            at = getattr(at, "cr_await", None) or getattr(at, "ag_await", None)
        print("task", task.get_name(), f"cancels={task.cancelling()}", *waits, file=sys.stderr)


def main() -> int:
    """Serve until a signal, or until the test process has ended."""
    given = os.environ.get
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    signal.signal(signal.SIGUSR1, _print_tasks)
    if slow := given("FAULTS_SLOW_COMMITS"):
        share, seconds = slow.split(",")
        slow_commits(float(share), float(seconds), int(given("FAULTS_SEED", "0")))
    Failpoints(given("FAULTS_FAILPOINTS", ""), Recorder(Path(os.environ["FAULTS_HISTORY"]))).install()
    if skew := float(given("FAULTS_SKEW", "0")):
        lifecycle.Service = partial(lifecycle.Service, clock=SkewedClock(skew))  # type: ignore[misc, assignment]
    if plant := given("FAULTS_PLANT"):
        PLANTS[plant].install()
    return serve({})


if __name__ == "__main__":
    sys.exit(main())
