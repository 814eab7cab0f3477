"""Measures Askback and its peers in one session. README.md says what is measured, and what is alike."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sqlite3
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))  # for the client of `make bench`, in `tests/bench`

from comparison import Comparison  # noqa: E402
from loops import Sizes  # noqa: E402
from results import all_ratios, report, to_json  # noqa: E402
from systems import ASKBACK, SYSTEMS  # noqa: E402
from tests.bench.processes import cpu_model, file_system, flush_ms  # noqa: E402
from tests.bench.servers import disk_folder  # noqa: E402

LEAST_ROUNDS = 3
PEERS = tuple(system.name for system in SYSTEMS if system.name not in ASKBACK)


def main() -> int:
    """Install, start, measure, print and write. Returns exit code 1 if no peer could be compared."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    folder = disk_folder(arguments.dir)
    names = {*ASKBACK, *(arguments.only or PEERS)}
    systems = [system for system in SYSTEMS if system.name in names]
    with ExitStack() as stack:
        comparison = Comparison(stack, systems, arguments.environments)
        comparison.start()
        rounds = comparison.run_rounds(arguments.rounds, Sizes().scaled(arguments.scale))
    machine = _machine(folder) | {"postgres": comparison.postgres_version} | comparison.load
    print(f"\n{machine}\n\n{report(rounds, systems, comparison.skipped)}\n")
    arguments.json.write_text(to_json(machine, rounds, systems, comparison.skipped), encoding="utf-8")
    print(f"rows: {arguments.json} ({time.monotonic() - began:.0f} s)")
    if arguments.rounds < LEAST_ROUNDS:
        print(f"fewer than {LEAST_ROUNDS} rounds: these figures are no result")
    return 0 if all_ratios(rounds, systems) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help=f"at least {LEAST_ROUNDS} for a result [3]")
    parser.add_argument(
        "--only",
        action="append",
        choices=[system.name for system in SYSTEMS if system.name not in ASKBACK],
        default=[],
        help="compare with this peer; may be repeated",
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the trips and seconds [1]")
    parser.add_argument("--dir", type=Path, help="folder of the databases; not in memory [the temp folder]")
    parser.add_argument(
        "--environments",
        type=Path,
        default=ROOT / ".venv-peers",
        help="folder in which the peers are installed [.venv-peers]",
    )
    parser.add_argument(
        "--json", type=Path, default=Path("bench-peers-results.json"), help="[bench-peers-results.json]"
    )
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.scale <= 0:
        parser.error("--rounds must be at least 1 and --scale above 0")
    return arguments


def _machine(folder: Path) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cpus": os.cpu_count(),
        "cpu": cpu_model(),
        "file_system": file_system(folder),
        "fdatasync_ms": round(flush_ms(folder), 3),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


if __name__ == "__main__":
    sys.exit(main())
