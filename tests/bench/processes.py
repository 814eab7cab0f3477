"""CPU time and memory of processes, read from /proc to avoid a dependency on psutil."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

_TICK = 1_000_000 / os.sysconf("SC_CLK_TCK")


def cpu(*pids: int) -> list[float]:
    """Microseconds of CPU of each process with all its descendants, including ended ones."""
    children: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            # The process name, in brackets, may contain spaces and brackets.
            fields = text.rpartition(")")[2].split()
            number = int(entry.name)
            children.setdefault(int(fields[1]), []).append(number)
            used[number] = sum(map(int, fields[11:15])) * _TICK

    def total(pid: int) -> float:
        return used.get(pid, 0.0) + sum(map(total, children.get(pid, ())))

    return [total(pid) for pid in pids]


def memory(pid: int) -> float:
    """KiB of a process in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def threads_cpu(pid: int) -> dict[int, float]:
    """Microseconds of CPU of each thread of a process, by thread id."""
    used: dict[int, float] = {}
    for entry in Path(f"/proc/{pid}/task").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        used[int(entry.name)] = (int(fields[11]) + int(fields[12])) * _TICK
    return used


def machine_busy() -> float:
    """Microseconds of CPU used by the whole machine, including unrelated processes."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) * _TICK


def cpu_model() -> str:
    """The kernel's name of the CPU."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")


def file_system(folder: Path) -> str:
    """The type of the file system that holds a folder."""
    best, kind = "", "?"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, found, *_ = line.split()
        if folder.is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, found
    return kind


def flush_ms(folder: Path) -> float:
    """The median time of an fdatasync after a write of 4 KiB: the minimum cost of a commit."""
    path = folder / "flush"
    times = []
    number = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for _ in range(100):
            os.write(number, b"x" * 4096)
            started = time.perf_counter()
            os.fdatasync(number)
            times.append(time.perf_counter() - started)
    finally:
        os.close(number)
        path.unlink()
    return statistics.median(times) * 1000
