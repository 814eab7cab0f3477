"""Profile a server with 64 trips in flight: with py-spy if it is installed, else with cProfile."""

from __future__ import annotations

import asyncio
import io
import pstats
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

from tests.bench.processes import threads_cpu
from tests.bench.servers import RunningServer

RATE = 200
TOP = 25

_THREAD = re.compile(r"thread \((\d+)\): (.*)")
_PACKAGE = re.compile(r"(?:site-packages|askback_server|python3\.\d+)/(.+)")


def py_spy() -> str | None:
    """The path of py-spy in this environment or on PATH, if installed."""
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if beside.exists() else shutil.which("py-spy")


class CpuProfile:
    """Samples of a server's Python threads, weighted by the CPU time of each thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._cpu: Counter[int] = Counter()

    async def record(self, server: RunningServer, seconds: float) -> None:
        """Sample while the loop runs."""
        program = py_spy()
        assert program is not None
        before = threads_cpu(server.pid)
        process = await asyncio.create_subprocess_exec(
            program,
            "record",
            "--pid",
            str(server.pid),
            "--duration",
            str(max(1, int(seconds))),
            "--rate",
            str(RATE),
            "--format",
            "raw",
            "--function",
            "--threads",
            "--output",
            str(self._file),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"py-spy failed: {errors.decode(errors='replace')}")
        for thread, used in threads_cpu(server.pid).items():
            self._cpu[thread] += int(used - before.get(thread, 0.0))

    def report(self, cpu_us: float) -> str:
        """The top functions; `cpu_us` is the server's CPU per trip during the recording."""
        by_thread: dict[int, list[tuple[list[str], int]]] = {}
        names: dict[int, str] = {}
        for line in self._file.read_text().splitlines():
            stack, _, samples = line.rpartition(" ")
            head, *frames = stack.split(";")
            thread = _THREAD.match(head)
            if thread is not None and frames:
                names[int(thread[1])] = thread[2]
                by_thread.setdefault(int(thread[1]), []).append(([*map(_short, frames)], int(samples)))
        own: Counter[str] = Counter()
        whole: Counter[str] = Counter()
        files: Counter[str] = Counter()
        threads: Counter[str] = Counter()
        for number, used in self._cpu.items():
            stacks = by_thread.get(number, [])
            threads[names.get(number, "threads that run no Python")] += used
            seen = sum(count for _, count in stacks)
            for frames, count in stacks:
                weight = used * count // seen
                own[frames[-1]] += weight
                files[frames[-1].partition(" (")[2].partition(":")[0]] += weight
                for frame in set(frames):
                    whole[frame] += weight
        total = sum(self._cpu.values()) or 1
        lines = [f"{cpu_us:.0f} µs of server CPU a trip while sampled"]
        for title, counted in (
            ("threads", threads),
            ("files, own time", files),
            ("own time", own),
            ("cumulative", whole),
        ):
            lines.append(f"{title}:")
            for name, weight in counted.most_common(TOP):
                share = weight / total
                lines.append(f"  {100 * share:5.1f} %  {cpu_us * share:6.1f} µs  {name}")
        return "\n".join(lines)


def _short(frame: str) -> str:
    """Shorten a frame to `write (storage/sqlite.py:150)`, without the path before the package."""
    name, _, path = frame.partition(" (")
    found = _PACKAGE.search(path)
    return f"{name} ({found[1] if found else path}"


def calls_report(file: Path, trips: int) -> str:
    """The top functions of a cProfile dump. cProfile slows calls down and sees the main thread only."""
    out = io.StringIO()
    stats = pstats.Stats(str(file), stream=out)
    stats.sort_stats("tottime").print_stats(TOP)
    stats.sort_stats("cumulative").print_stats(TOP)
    return f"cProfile, main thread, {trips} trips in the window\n{out.getvalue()}"
