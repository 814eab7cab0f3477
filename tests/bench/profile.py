"""`make profile` or `python -m tests.bench.profile`: where the server's CPU of a trip goes.

With 64 trips in flight, for each database: a flame graph (`profile-sqlite.svg`), the CPU of each bucket by
samples of py-spy, and instructions a trip under callgrind if valgrind is installed. See docs/bench.md.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench import flame, instructions, servers
from tests.bench.buckets import (
    BUCKETS,
    Samples,
    bucket_of,
    by_bucket,
    by_function,
    read_samples,
    weigh,
)
from tests.bench.drive import IN_FLIGHT, Driver, Plan, driving
from tests.bench.instructions import Grouped
from tests.bench.processes import threads_cpu
from tests.bench.servers import RunningServer
from tests.support.postgres import PostgresServer
from tests.support.postgres_binaries import PostgresUnavailable

RATE = 250
"""Samples per second. More would slow the server down."""
WARM_S = 2.0
COUNTED_TRIPS = 3
"""Trips of each lane under callgrind, which slows the server down by 50 to 100 times."""
IDLE_S = 5.0
FUNCTIONS = 5
"""Functions shown for each bucket."""
LIBRARIES = 8
SLOW_LEASES = {"ASKBACK_LEASE_TTL": "300"}
"""Under callgrind heartbeats come late."""


def main() -> int:
    """Profile, print, and write the graphs. Returns exit code 1 if nothing could be measured."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    servers.disk_folder(None)
    if (program := py_spy()) is None:
        print("profile: py-spy is not installed: .venv/bin/pip install py-spy", file=sys.stderr)
        return 1
    databases = arguments.only or ["sqlite", "postgres"]
    try:
        with (
            servers.durable_postgres("postgres" in databases) as database,
            asyncio.Runner(loop_factory=servers.loop_factory()) as runner,
        ):
            counts_instructions = not arguments.no_instructions and not (why := instructions.missing())
            bare = runner.run(_count(servers.floor)) if counts_instructions else None
            for name in databases:
                profile = runner.run(_sample(name, database, program, arguments.seconds))
                counted = None
                if bare is not None:
                    start = partial(_server, name, database, more=SLOW_LEASES)
                    counted = Counted(runner.run(_count(start)), bare)
                graph = arguments.out / f"profile-{name}.svg"
                title = f"Askback on {name}: server CPU of a trip, {IN_FLIGHT} in flight"
                graph.write_text(flame.svg(title, "µs", profile.weights), encoding="utf-8")
                print(f"\n{report(name, profile, counted)}\n\nflame graph: {graph}", flush=True)
            if not arguments.no_instructions and why:
                print(f"\nInstructions were not counted: {why}.")
    except (PostgresUnavailable, RuntimeError) as error:
        print(f"profile: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profile", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=("sqlite", "postgres"), help="this database [both]"
    )
    parser.add_argument("--seconds", type=int, default=12, help="seconds of sampling [12]")
    parser.add_argument("--no-instructions", action="store_true", help="sample only: seconds, not minutes")
    parser.add_argument("--out", type=Path, default=Path(), metavar="FOLDER", help="of the graphs [here]")
    return parser.parse_args()


def py_spy() -> str | None:
    """The path of py-spy in this environment or on PATH, if installed."""
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if beside.exists() else shutil.which("py-spy")


def _server(
    name: str,
    database: PostgresServer | None,
    under: Sequence[str] = (),
    more: Mapping[str, str] | None = None,
) -> AbstractContextManager[RunningServer]:
    if name == "sqlite":
        return servers.sqlite(more, under)
    assert database is not None
    return servers.postgres(database, more, under)


class Profile:
    """Samples, and the CPU of a trip while they were taken."""

    def __init__(self, samples: Samples, used: Mapping[int, float], trips: int) -> None:
        self.samples = samples
        self.weights = weigh(samples, {thread: us / trips for thread, us in used.items()})
        """CPU µs of a trip by stack."""
        self.cpu = sum(self.weights.values())

    @property
    def count(self) -> int:
        """The number of samples."""
        return sum(stacks.total() for stacks in self.samples.stacks.values())

    def shares(self, *, of_main: bool) -> dict[str, float]:
        """The share of each bucket in the samples of the main thread, or in those of all other threads."""
        found: Counter[str] = Counter()
        for thread, stacks in self.samples.stacks.items():
            if (self.samples.names[thread] == "MainThread") is of_main:
                for stack, count in stacks.items():
                    found[bucket_of(stack)] += count
        return {bucket: count / found.total() for bucket, count in found.items()}


async def _sample(name: str, database: PostgresServer | None, program: str, seconds: int) -> Profile:
    """Sample a server under a closed loop of trips. Raises RuntimeError if py-spy may not."""
    with tempfile.TemporaryDirectory(prefix="askback-bench-") as place:
        file = Path(place) / "samples"
        used: dict[int, float] = {}
        with _server(name, database) as server:

            async def record() -> None:
                before = threads_cpu(server.pid)
                await _run_py_spy(program, server.pid, seconds, file)
                after = threads_cpu(server.pid)
                used.update({thread: cpu - before.get(thread, 0.0) for thread, cpu in after.items()})

            async with driving(server, Plan()) as driver:
                window = await driver.run_trips(WARM_S, seconds + 1.0, record)
        # py-spy takes a moment to start and to write: its window and the driver's differ by less than that.
        trips = round(window.count * sum(used.values()) / window.server_cpu)
        return Profile(read_samples(file.read_text(encoding="utf-8")), used, trips)


async def _run_py_spy(program: str, pid: int, seconds: int, file: Path) -> None:
    words = ["record", "--pid", f"{pid}", "--duration", f"{seconds}", "--rate", f"{RATE}", "--format", "raw"]
    # Blocking, it would halve the server's speed.
    words += ["--nonblocking", "--threads", "--full-filenames", "--output", f"{file}"]
    process = await asyncio.create_subprocess_exec(
        program, *words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    if process.returncode or not file.exists():
        hint = "run as root, or allow it with sysctl kernel.yama.ptrace_scope=0"
        raise RuntimeError(f"py-spy failed ({hint}):\n{errors.decode(errors='replace')}")


async def _count(start: Callable[[Sequence[str]], AbstractContextManager[RunningServer]]) -> Grouped:
    """Count the instructions of a trip. `start` starts the server under callgrind."""
    with tempfile.TemporaryDirectory(prefix="askback-bench-") as place:
        file = Path(place) / "callgrind"
        with start(instructions.command(file)) as server:
            async with driving(server, Plan()) as driver:
                await instructions.control(server.pid, "-i", "on")
                await _trips(driver, 1)  # callgrind translates the code
                await instructions.control(server.pid, "-z")
                began = time.monotonic()
                await _trips(driver, COUNTED_TRIPS)
                await instructions.control(server.pid, "-d")
                took = time.monotonic() - began
                await asyncio.sleep(IDLE_S)
                await instructions.control(server.pid, "-d")
            busy, idle = (instructions.read_dump(file, number) for number in (1, 2))
    return instructions.a_trip(busy, idle, took / IDLE_S, IN_FLIGHT * COUNTED_TRIPS)


async def _trips(driver: Driver, each: int) -> None:
    async def lane(number: int) -> None:
        for _ in range(each):
            await driver.client.ask(number)

    await driver.client.wait_for(asyncio.gather(*(lane(number) for number in range(IN_FLIGHT))))


@dataclass(frozen=True)
class Counted:
    """Instructions of a trip by thread and library."""

    server: Grouped
    bare: Grouped
    """Those of the bare floor."""

    def by_bucket(self, profile: Profile) -> dict[str, float]:
        """gRPC, with the event loop and protobuf, counts as much as the whole bare floor. The rest of each
        group of threads is divided like the samples in the other buckets."""
        found = dict.fromkeys(BUCKETS, 0.0)
        found["gRPC"] = sum(of.total() for of in self.bare.values())
        totals = {group: float(of.total()) for group, of in self.server.items()}
        totals["main thread"] -= found["gRPC"] - totals.pop("threads without Python", 0.0)
        for group, total in totals.items():
            shares = profile.shares(of_main=group == "main thread")
            shares.pop("gRPC", None)
            for bucket, share in shares.items():
                found[bucket] += total * share / sum(shares.values())
        return found


def report(name: str, profile: Profile, counted: Counted | None) -> str:
    """The buckets, with the functions that use most of each, and the libraries."""
    lines = [
        f"{name}: {profile.cpu:.0f} µs of server CPU a trip with {IN_FLIGHT} in flight "
        f"({profile.count:,} samples)",
        "",
        f"| bucket | µs a trip | share |{' thousand instructions |' if counted else ''} what |",
        f"|---|--:|--:|{'--:|' if counted else ''}---|",
    ]
    of_buckets = counted.by_bucket(profile) if counted else {}

    def line(bucket: str, us: float, instructions: float, what: str) -> str:
        cells = [bucket, f"{us:.0f}", f"{100 * us / profile.cpu:.0f} %"]
        cells += [f"{instructions / 1000:,.0f}"] if counted else []
        return f"| {' | '.join([*cells, what])} |"

    for bucket, us in sorted(by_bucket(profile.weights).items(), key=lambda item: -item[1]):
        lines.append(line(bucket, us, of_buckets.get(bucket, 0.0), BUCKETS[bucket]))
    lines.append(line("all", profile.cpu, sum(of_buckets.values()), ""))
    lines += ["", "The functions that use most of each bucket:"]
    functions = sorted(by_function(profile.weights).items(), key=lambda item: -item[1])
    for bucket in BUCKETS:
        mine = [(function, us) for (of, function), us in functions if of == bucket][:FUNCTIONS]
        lines += ["", f"{bucket}:", *(f"  {us:6.1f} µs  {function}" for function, us in mine)]
    if counted:
        lines += ["", "Instructions a trip (callgrind), by library and by thread:", ""]
        libraries = sum(counted.server.values(), Counter[str]()).most_common(LIBRARIES)
        lines += [f"  {count / 1000:8,.0f} thousand  {library}" for library, count in libraries]
        lines.append("")
        lines += [f"  {of.total() / 1000:8,.0f} thousand  {group}" for group, of in counted.server.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
