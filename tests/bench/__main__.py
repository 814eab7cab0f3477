"""`make bench` or `python -m tests.bench`: see docs/bench.md."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO

import grpc
from google.protobuf.internal import api_implementation

from tests.bench import page, profile, report, servers
from tests.bench.drive import Measurements, Plan, measure
from tests.bench.processes import cpu_model, file_system, flush_ms
from tests.support.postgres import PostgresServer
from tests.support.postgres_binaries import PostgresUnavailable

TARGETS = ("floor", "sqlite", "postgres")


def main() -> int:
    """Measure and print. Returns exit code 0 if all targets are met."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = servers.disk_folder(arguments.dir)
    targets = arguments.only or list(TARGETS)
    if arguments.page:
        targets = []
    try:
        with servers.durable_postgres("postgres" in targets) as database, _out(arguments.json) as out:
            _print(out, _machine(folder, database))
            if arguments.page:
                print(_page(arguments.repeat, out))
                return 0
            if arguments.profile:
                return _profile(targets, database, arguments, folder)
            found = _measure(targets, database, arguments, out)
            page_line = _page(arguments.repeat, out)
    except (PostgresUnavailable, RuntimeError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    by_target = {target: report.medians(runs) for target, runs in found.items()}
    print()
    print(report.table(by_target))
    print()
    print(page_line)
    print()
    return _verdict(report.verdicts(by_target))


def _page(repeats: int, out: TextIO | None) -> str:
    """The line about the page."""
    if why := page.obstacle():
        return f"page: not measured, because {why}"
    return page.run(repeats, partial(_print, out))


def _verdict(verdicts: Sequence[tuple[bool, str]]) -> int:
    for met, line in verdicts:
        print("PASS" if met else "FAIL", line)
    return 0 if all(met for met, _ in verdicts) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="seconds of each loop with 64 in flight [4]"
    )
    parser.add_argument("--repeat", type=int, default=3, help="runs of each server; medians count [3]")
    parser.add_argument("--only", action="append", choices=TARGETS, help="measure this; may be repeated")
    parser.add_argument("--ask", choices=("form", "plain"), default="form", help="kind of prompt [form]")
    parser.add_argument(
        "--prompts-per-job", type=int, default=50, help="prompts before a job is replaced [50]"
    )
    parser.add_argument("--no-jobs", action="store_true", help="skip the loop of create, lease, complete")
    parser.add_argument("--dir", type=Path, help="folder of the databases; not in memory [the temp folder]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON lines here too")
    parser.add_argument("--page", action="store_true", help="measure the web page only")
    parser.add_argument("--profile", action="store_true", help="print a CPU profile of the servers instead")
    arguments = parser.parse_args()
    if arguments.seconds <= 0 or arguments.repeat < 1:
        parser.error("--seconds must be above 0 and --repeat at least 1")
    return arguments


@contextmanager
def _out(file: Path | None) -> Iterator[TextIO | None]:
    with nullcontext() if file is None else file.open("w") as out:
        yield out


def _print(out: TextIO | None, line: dict[str, Any]) -> None:
    text = json.dumps(line, ensure_ascii=False)
    print(text, flush=True)
    if out is not None:
        print(text, file=out, flush=True)


def _machine(folder: Path, database: PostgresServer | None) -> dict[str, Any]:
    """Describe the machine and the versions that the figures depend on."""
    kind = file_system(folder)
    if kind in servers.IN_MEMORY:
        print(f"bench: {folder} is in memory: commits there are not durable", file=sys.stderr)
    try:
        loop = f"uvloop {version('uvloop')}"
    except PackageNotFoundError:
        loop = "asyncio"
    return {
        "cpus": os.cpu_count(),
        "cpu": cpu_model(),
        "folder": str(folder),
        "file_system": kind,
        "fdatasync_ms": round(flush_ms(folder), 3),
        "python": platform.python_version(),
        "loop": loop,
        "grpcio": grpc.__version__,
        "protobuf": f"{version('protobuf')} {api_implementation.Type()}",
        "sqlite": sqlite3.sqlite_version,
        "postgres": database.execute("SHOW server_version") if database is not None else None,
    }


def _server(
    target: str, database: PostgresServer | None, python: Sequence[str] = ()
) -> AbstractContextManager[servers.RunningServer]:
    if target == "floor":
        return servers.floor(python)
    if target == "sqlite":
        return servers.sqlite(python)
    assert database is not None
    return servers.postgres(python, database)


def _measure(
    targets: Sequence[str], database: PostgresServer | None, arguments: argparse.Namespace, out: TextIO | None
) -> dict[str, list[report.Figures]]:
    """Measure all targets in turn, several times, so that drift affects all of them alike."""
    plan = _plan(arguments, jobs=not arguments.no_jobs)
    found: dict[str, list[report.Figures]] = {target: [] for target in targets}
    for repeat in range(arguments.repeat):
        for target in targets:
            load = os.getloadavg()[0]
            with _server(target, database) as server:
                figures = report.figures(_run(server, plan))
            found[target].append(figures)
            shown = {name: round(value, 3) for name, value in figures.items()}
            _print(out, {"target": target, "repeat": repeat + 1, "load": round(load, 2), **shown})
    for target, runs in found.items():
        shown = {name: round(value, 3) for name, value in report.medians(runs).items()}
        _print(out, {"target": target, "median_of": len(runs), **shown})
    return found


def _plan(arguments: argparse.Namespace, *, jobs: bool, alone: bool = True) -> Plan:
    return Plan(
        arguments.seconds,
        asked=arguments.ask,
        prompts_per_job=arguments.prompts_per_job,
        alone=alone,
        jobs=jobs,
    )


def _run(server: servers.RunningServer, plan: Plan, during: Any = None) -> Measurements:
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    with asyncio.Runner(loop_factory=servers.loop_factory()) as runner:
        return runner.run(measure(server, plan, during))


def _profile(
    targets: Sequence[str], database: PostgresServer | None, arguments: argparse.Namespace, folder: Path
) -> int:
    """Profile each target under the loop with 64 trips in flight."""
    plan = _plan(arguments, jobs=False, alone=False)
    sampled = profile.py_spy() is not None
    for target in targets:
        with tempfile.TemporaryDirectory(prefix="askback-bench-", dir=folder) as place:
            file = Path(place) / "profile"
            python = () if sampled else ("-m", "cProfile", "-o", str(file))
            recording = profile.CpuProfile(file)
            with _server(target, database, python) as server:
                beside = partial(recording.record, server, plan.seconds) if sampled else None
                loaded = _run(server, plan, beside).loaded
            assert loaded is not None
            print(f"\n{target}: {loaded.count / loaded.seconds:,.0f} trips/s while profiled")
            if sampled:
                print(recording.report(loaded.server_cpu / loaded.count))
            else:
                print(profile.calls_report(file, loaded.count))
    return 0


if __name__ == "__main__":
    sys.exit(main())
