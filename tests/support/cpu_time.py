"""Pytest plugin: print the CPU time and the seed of a run; `--cpu-times N` adds the most expensive tests."""

from __future__ import annotations

import os
import resource
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

TICK = os.sysconf("SC_CLK_TCK")
OF_TESTS = "cpu_times"
"""The key under which a worker process of pytest-xdist sends its figures to the controller."""


def cpu_seconds() -> float:
    """CPU seconds, user and system, of this process and of the children it has waited for."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def descendants_cpu_seconds() -> float:
    """CPU seconds of all running descendants and of the children they have waited for. Needs /proc.

    When a child ends, its time moves from here to the sum of the process that waits for it. So the total of
    this function and `cpu_seconds` never decreases.
    """
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0.0
    seconds: dict[int, float] = {}
    children: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # The second field, the name in brackets, may contain spaces.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            pid = int(folder.name)
            children[int(fields[1])].append(pid)
            seconds[pid] = sum(int(field) for field in fields[11:15]) / TICK
    total, left = 0.0, [*children[os.getpid()]]
    while left:
        pid = left.pop()
        total += seconds[pid]
        left += children[pid]
    return total


class CpuTimes:
    """The plugin. Under pytest-xdist the workers measure, and the controller collects and prints."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._maximum: int = config.getoption("cpu_times")
        self._of_tests: list[tuple[float, str]] = []
        self._before = 0.0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Measure one test. The cost of a shared fixture counts for the first test that uses it."""
        if not self._maximum:
            return (yield)
        self._before = self._before or cpu_seconds() + descendants_cpu_seconds()
        try:
            return (yield)
        finally:
            now = cpu_seconds() + descendants_cpu_seconds()
            self._of_tests.append((now - self._before, item.nodeid))
            self._before = now

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """In a worker of pytest-xdist: hand the figures to the controller."""
        output: dict[str, Any] | None = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[OF_TESTS] = self._of_tests

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """In the controller: collect the figures of a worker."""
        self._of_tests += getattr(node, "workeroutput", {}).get(OF_TESTS, [])

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the figures. The workers of pytest-xdist have been waited for, so they are in the sum."""
        say = terminalreporter.write_line
        for seconds, nodeid in sorted(self._of_tests, reverse=True)[: self._maximum]:
            say(f"{seconds:8.2f} s of CPU  {nodeid}")
        if self._maximum:
            by_file: dict[str, float] = defaultdict(float)
            for seconds, nodeid in self._of_tests:
                by_file[nodeid.partition("::")[0]] += seconds
            for name, seconds in sorted(by_file.items(), key=lambda pair: -pair[1])[: self._maximum]:
                say(f"{seconds:8.2f} s of CPU  {name}")
        say(f"{cpu_seconds():.0f} s of CPU in all, child processes included")
        # pytest-randomly prints it in the header, which `-q` leaves out.
        if (seed := self._config.getoption("randomly_seed", None)) is not None:
            say(f"test order: --randomly-seed={seed}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--cpu-times`."""
    parser.addoption(
        "--cpu-times",
        type=int,
        default=0,
        metavar="N",
        help="print the N tests, and the N files, that took most CPU time, child processes included",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin."""
    config.pluginmanager.register(CpuTimes(config), "askback-cpu-times")
