"""The processes of the comparison: one for each system, which runs `host.py`."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from installing import Unavailable
from loops import PATIENCE, Sizes, Turn

START_SECONDS = 120.0
STOP_SECONDS = 40.0
HERE = Path(__file__).resolve().parent
LOCAL = {
    "LANGSMITH_TRACING": "false",
    "DO_NOT_TRACK": "1",
}
"""Traffic stays on loopback."""


class Host:
    """A system in a process of its own. The process and its children are one process group."""

    def __init__(self, module: str, python: str, given: dict[str, str]) -> None:
        """Start the process. `given` has the fields of `Settings`."""
        self._log = Path(given["folder"]) / "host.log"
        # Askback's module imports the client of `make bench`.
        environment = {**os.environ, **LOCAL, "PYTHONPATH": str(HERE.parents[1])}
        with self._log.open("wb") as errors:
            self._process = subprocess.Popen(
                [python, str(HERE / "host.py"), module, json.dumps(given)],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self._replies: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._replies.put(line)
        self._replies.put("")

    def wait_until_started(self) -> None:
        """Return when the system has started. Raises Unavailable if it has not."""
        self._next_reply(START_SECONDS)

    def measure(self, sizes: Sizes) -> Turn:
        """Measure a turn. Raises Unavailable if the system fails."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(asdict(sizes)) + "\n")
            self._process.stdin.flush()
        return Turn(**self._next_reply(4 * PATIENCE + 2 * (sizes.warm + sizes.loop)))

    def _next_reply(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._replies.get(timeout=seconds)
        except queue.Empty:
            raise Unavailable(f"no reply in {seconds:.0f} s: {self._tail()}") from None
        if not line:
            code = self._process.wait()
            raise Unavailable(f"its process ended with exit code {code}: {self._tail()}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise Unavailable(str(reply["error"]))
        return reply

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no output"

    def stop(self) -> None:
        """Let the system stop, and kill what is left of its process group."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
