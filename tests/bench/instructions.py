"""Instructions of a server under callgrind, by thread and by library."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_COST = re.compile(r"[+\-*\d]\S* (\d+)$")
_OBJECT = re.compile(r"ob=\((\d+)\)(?: (.+))?$")
_THREAD = re.compile(r"-(\d+)$")

Group = Literal["main thread", "other Python threads", "threads without Python"]
Grouped = Mapping[Group, Counter[str]]
"""Instructions by group of threads, then by library."""


def missing() -> str:
    """Why instructions cannot be counted here; empty if they can."""
    if shutil.which("valgrind") is None or shutil.which("callgrind_control") is None:
        return "valgrind is not installed (Debian: apt install valgrind)"
    return ""


def command(file: Path) -> list[str]:
    """The words before a Python command that is to be counted. Counting starts with `control`."""
    return [
        "valgrind",
        "--quiet",
        "--tool=callgrind",
        "--instr-atstart=no",
        "--separate-threads=yes",
        f"--callgrind-out-file={file}",
    ]


async def control(pid: int, *words: str) -> None:
    """Send a command to callgrind: `-i on`, `-z` (zero), `-d` (dump). Raises RuntimeError."""
    process = await asyncio.create_subprocess_exec(
        "callgrind_control",
        *words,
        str(pid),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode or b"OK" not in output:
        raise RuntimeError(f"callgrind_control {' '.join(words)} failed: {output.decode(errors='replace')}")


@dataclass(frozen=True)
class Counts:
    """Instructions between a zero and a dump."""

    threads: Mapping[int, Counter[str]]
    """By thread, then by the file name of the library."""

    def group(self, thread: int) -> Group:
        """The group of a thread: one that spends more in gRPC than in Python counts as one without Python."""
        if thread == 1:
            return "main thread"
        libraries = self.threads[thread]
        python = sum(count for name, count in libraries.items() if "python" in name)
        native = sum(count for name, count in libraries.items() if "cygrpc" in name)
        return "other Python threads" if python > native else "threads without Python"


def a_trip(busy: Counts, idle: Counts, times: float, trips: int) -> Grouped:
    """Instructions of a trip. The server did `trips` in `busy`, and nothing in `idle`, which is subtracted
    `times` times: the server polls meanwhile, and under callgrind many times for a trip."""
    found: dict[Group, Counter[str]] = {}
    for thread, libraries in busy.threads.items():
        group = found.setdefault(busy.group(thread), Counter())
        polls = idle.threads.get(thread, Counter())
        for name, count in libraries.items():
            group[name] += max(0, round((count - times * polls[name]) / trips))
    return found


def read_dump(file: Path, number: int) -> Counts:
    """The dump with this number, from 1. Raises RuntimeError without one."""
    parts = sorted(file.parent.glob(f"{file.name}.{number}-*"))
    if not parts:
        raise RuntimeError(f"callgrind has written no dump {number}")
    threads = {}
    for part in parts:
        thread = _THREAD.search(part.name)
        assert thread is not None
        threads[int(thread[1])] = own_cost(part.read_text())
    return Counts(threads)


def own_cost(text: str) -> Counter[str]:
    """Instructions by library, of a file in callgrind's format: own costs, without those of calls."""
    names: dict[str, str] = {}
    found: Counter[str] = Counter()
    library, is_call = "?", False
    for line in text.splitlines():
        if object := _OBJECT.match(line):
            names.setdefault(object[1], Path(object[2] or "?").name)
            library = names[object[1]]
        elif line.startswith("cob="):
            # A library may be named for the first time where it is called.
            if named := _OBJECT.match(line[1:]):
                names.setdefault(named[1], Path(named[2] or "?").name)
        elif line.startswith("calls="):
            is_call = True
        elif cost := _COST.match(line):
            if not is_call:
                found[library] += int(cost[1])
            is_call = False
    return found
