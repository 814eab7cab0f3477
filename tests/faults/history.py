"""Histories: what everybody said and heard, as JSON lines, one file for each process.

A line has `t` (this machine's clock, in seconds), `e` (what happened) and what belongs to it. An operation is
an `invoke` with an `op`, and at most one `ok` or `no` (refused for good) with the same `op`: without
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
_true_time = time.time  # a program whose clock is skewed writes its history by the true one


class Recorder:
    """Writes one process's history. Each line is written before the call returns: SIGKILL loses none."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._ops = 0

    def say(self, event: str, **facts: Any) -> None:
        """One line."""
        line = {"t": round(_true_time(), 6), "e": event, **facts}
        os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def invoke(self, what: str, **facts: Any) -> int:
        """An operation begins; its number."""
        self._ops += 1
        self.say("invoke", op=self._ops, what=what, **facts)
        return self._ops


def read(folder: Path) -> Iterator[Line]:
    """All lines of a folder's files, each file in its order; `_at` says which file and line, `who` whose.

    A half line at a file's end, of a process that was killed, does not count.
    """
    for path in sorted(folder.glob("*.jsonl")):
        who, _, start = path.stem.rpartition(".")
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if raw.endswith(b"\n"):
                    line = json.loads(raw)
                    line["_at"], line["who"], line["start"] = (path.name, number), who, start
                    yield line
