"""A replica under test: `python -m tests.faults.replica`, with the settings of a server in its environment.

`FAULTS_…` variables add what only a test wants: `PLANT` (a bug), `FAILPOINTS`, `SLOW_COMMITS` (share and
seconds), `SKEW` (seconds by which its clock is wrong), `HISTORY` (a file). It ends with its standard input.
"""

from __future__ import annotations

import os
import sys
import threading
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from askback_server import lifecycle
from askback_server.__main__ import serve
from askback_server.ports.clock import SystemClock
from tests.faults.failpoints import Failpoints, slow_commits
from tests.faults.history import Recorder
from tests.faults.plants import PLANTS


class SkewedClock(SystemClock):
    """This machine's clock, and so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._skew = timedelta(seconds=seconds)

    def now(self) -> datetime:
        """The wrong time."""
        return super().now() + self._skew


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(9)


def main() -> int:
    """Serve until a signal, or until the test is gone."""
    given = os.environ.get
    threading.Thread(target=_end_with_stdin, daemon=True).start()
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
