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
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.internal import api_implementation

from tests.bench import page, paired, servers, summary
from tests.bench.processes import cpu_model, file_system, flush_ms
from tests.bench.rounds import CASES, Measured, Sizes, Start, run_round
from tests.support.postgres import PostgresServer
from tests.support.postgres_binaries import PostgresUnavailable

DATABASES = ("sqlite", "postgres")
PAGE_REPEATS = 3


def main() -> int:
    """Measure and print. Returns exit code 0 unless a target is missed."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = servers.disk_folder(arguments.dir)
    databases = [name for name in DATABASES if name in arguments.only] or list(DATABASES)
    cases = [name for name in CASES if name in arguments.only] or list(CASES)
    began = time.monotonic()
    try:
        with servers.durable_postgres("postgres" in databases) as database:
            _say(_machine(folder, database))
            if arguments.page:
                print(_measure_page())
                return 0
            found = _measure(databases, cases, database, arguments)
            page_line = "" if arguments.only else _measure_page()
    except (PostgresUnavailable, RuntimeError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    report = summary.Report(found, against=arguments.against is not None)
    arguments.json.write_text(paired.to_json(report.rows), encoding="utf-8")
    print(f"\n{report.text()}\n")
    if page_line:
        print(f"{page_line}\n")
    print(f"rows: {arguments.json} ({time.monotonic() - began:.0f} s)\n")
    verdicts = report.verdicts()
    for _, line in verdicts:
        print(line)
    return 1 if any(verdict == "FAIL" for verdict, _ in verdicts) else 0


def _measure_page() -> str:
    """Measure the page. Returns the line about it."""
    if why := page.obstacle():
        return f"page: not measured, because {why}"
    return page.run(PAGE_REPEATS, _say)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=paired.LEAST_ROUNDS, help="paired rounds [7]")
    parser.add_argument(
        "--only",
        action="append",
        choices=(*DATABASES, *CASES),
        default=[],
        help="measure this database or case; may be repeated",
    )
    parser.add_argument(
        "--against", type=Path, metavar="FOLDER", help="compare with this `server` folder too"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the trips and seconds [1]")
    parser.add_argument("--dir", type=Path, help="folder of the databases; not in memory [the temp folder]")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", default=Path("bench-results.json"), help="[bench-results.json]"
    )
    parser.add_argument("--page", action="store_true", help="measure the web page only")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.scale <= 0:
        parser.error("--rounds must be at least 1 and --scale above 0")
    if arguments.against is not None and not (arguments.against / "askback_server").is_dir():
        parser.error(f"there is no package askback_server in {arguments.against}")
    return arguments


def _say(line: Mapping[str, Any]) -> None:
    print(json.dumps(line, ensure_ascii=False), flush=True)


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


def _starts(name: str, database: PostgresServer | None, against: Path | None) -> dict[str, Start]:
    """The servers of a round, by their roles. `twin` is Askback again, for the A/A check."""
    floor, askback = partial(servers.floor_on_sqlite), partial(servers.sqlite)
    if name == "postgres":
        assert database is not None
        floor = partial(servers.floor_on_postgres, database)
        askback = partial(servers.postgres, database)
    starts: dict[str, Start] = {
        "bare": servers.floor,
        "floor": floor,
        "askback": askback,
        "twin": askback,
    }
    if against is not None:
        starts["other"] = partial(askback, more={"PYTHONPATH": str(against.resolve())})
    return starts


def _measure(
    databases: Sequence[str],
    cases: Sequence[str],
    database: PostgresServer | None,
    arguments: argparse.Namespace,
) -> dict[str, list[dict[str, Measured]]]:
    """Measure all databases in turn, round by round. Returns the rounds of each."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    sizes = Sizes().scaled(arguments.scale)
    found: defaultdict[str, list[dict[str, Measured]]] = defaultdict(list)
    # One event loop for all: grpc.aio binds itself to the first loop that uses it.
    with asyncio.Runner(loop_factory=servers.loop_factory()) as runner:
        for number in range(arguments.rounds):
            for name in databases:
                starts = _starts(name, database, arguments.against)
                measured = runner.run(run_round(starts, cases, sizes, number))
                found[name].append(measured)
                print(summary.round_line(name, number + 1, measured), flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
