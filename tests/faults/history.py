"""Histories: the requests, replies and events of each process, as JSON lines in one file per start.

A line has `t` (this machine's clock, in seconds), `e` (the kind of event) and further fields. An operation
is an `invoke` with an `op`, and at most one `ok` or `no` (refused for good) with the same `op`. Without
either its outcome is unknown.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Line = dict[str, Any]
_true_time = time.time  # programs with a skewed clock still record the true time


class Recorder:
    """Writes the history of one process, unbuffered: SIGKILL loses no line."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._ops = 0

    def write(self, event: str, **facts: Any) -> None:
        """Write one line."""
        line = {"t": round(_true_time(), 6), "e": event, **facts}
        os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def invoke(self, what: str, **facts: Any) -> int:
        """Record the start of an operation. Returns its number."""
        self._ops += 1
        self.write("invoke", op=self._ops, what=what, **facts)
        return self._ops


def read(folder: Path) -> Iterator[Line]:
    """All lines of the files in a folder; `_at` is added as file and line number, `who` as the process.

    An incomplete last line, of a process that was killed, is skipped.
    """
    for path in sorted(folder.glob("*.jsonl")):
        who, _, start = path.stem.rpartition(".")
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if raw.endswith(b"\n"):
                    line = json.loads(raw)
                    line["_at"], line["who"], line["start"] = (path.name, number), who, start
                    yield line
