"""`make bench-full CASES=a,b` or `python -m tests.bench.full a b`: how costs grow. See docs/scale.md."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
import time
from contextlib import ExitStack

from tests.bench import servers
from tests.bench.full import cases
from tests.bench.full.frame import Bench
from tests.bench.full.rows import table
from tests.support.postgres_binaries import PostgresUnavailable


def main() -> int:
    """Measure the cases and print their tables. Returns exit code 0 if all targets are met."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the servers too
    servers.disk_folder(None)
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    try:
        # One event loop for all: grpc.aio binds itself to the first loop that uses it.
        with asyncio.Runner(loop_factory=servers.loop_factory()) as runner:
            return runner.run(_run(arguments))
    except PostgresUnavailable as error:
        print(f"bench-full: {error}", file=sys.stderr)
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.full",
        description=__doc__,
        epilog="\n".join(f"{name:10} {_first_line(case)}" for name, case in cases.ALL.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="cases, also with commas between [all]")
    parser.add_argument(
        "--db", choices=("sqlite", "postgres"), action="append", help="the databases; may be repeated [both]"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes [1]")
    arguments = parser.parse_args()
    arguments.cases = [name for names in arguments.cases for name in names.split(",") if name]
    arguments.cases = arguments.cases or list(cases.ALL)
    if unknown := {*arguments.cases} - {*cases.ALL}:
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(cases.ALL)}")
    return arguments


def _first_line(case: object) -> str:
    return (case.__doc__ or "").partition("\n")[0]


async def _run(arguments: argparse.Namespace) -> int:
    tables: list[str] = []
    is_met = True
    for kind in arguments.db or ("sqlite", "postgres"):
        for name in arguments.cases:
            if kind == "sqlite" and name in cases.ON_POSTGRES:
                continue
            load, began = os.getloadavg()[0], time.monotonic()
            with ExitStack() as stack:
                postgres = stack.enter_context(servers.durable_postgres(kind == "postgres"))
                rows = await cases.ALL[name](Bench(kind, arguments.scale, postgres))
            took = time.monotonic() - began
            tables.append(table(f"{name}, {kind}", rows) + f"\n({took:.0f} s, load {load:.1f} at the start)")
            print(f"\n{tables[-1]}\n", flush=True)
            is_met &= all(row.is_met is not False for row in rows)
    print("\n\n".join(tables))
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
