"""`python -m tests.faults`: a chaos run from a seed; `--judge FOLDER` checks a stored history again."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.faults.chaos import Plan, clean, out, run_plan
from tests.faults.checker import judge
from tests.faults.cluster import ClusterConfig

SHOWN = 30


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the random choices; random, and printed, if not given")
    parser.add_argument("--minutes", type=float, default=10.0, help="minutes of faults; default 10")
    parser.add_argument("--hours", type=float, help="instead of minutes: one run after another")
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--replicas", type=int, help="default 3, and 1 on SQLite")
    parser.add_argument("--standby", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--pause", type=float, default=0.4, help="seconds between faults, on average")
    parser.add_argument("--longest", type=float, default=2.0, help="maximum seconds that a fault lasts")
    parser.add_argument("--at-once", type=int, default=60, help="jobs in flight")
    parser.add_argument("--prompts", type=int, default=10**9, help="stop after this number of prompts")
    parser.add_argument("--plant", default="", help="a planted bug, see tests/faults/plants.py")
    parser.add_argument("--keep", action="store_true", help="keep the history of a run without violations")
    parser.add_argument("--judge", type=Path, metavar="FOLDER", help="check a stored history")
    return parser.parse_args()


def plan_of(given: argparse.Namespace, seed: int, minutes: float) -> Plan:
    """The plan of the run that the command line describes."""
    postgres = given.database == "postgresql"
    config = ClusterConfig(
        replicas=(given.replicas or 3) if postgres else 1,
        workers=3,
        consoles=3,
        plant=given.plant,
        client={"at_once": given.at_once},
        slow_commits="0.01,1.0" if postgres else "",
        skew=5.0 if postgres else 0.0,
    )
    return Plan(
        seed,
        minutes * 60,
        given.database,
        standby=postgres and given.standby,
        config=config,
        pause=given.pause,
        longest=given.longest,
        prompts=given.prompts,
    )


def main() -> int:
    """Run, or check a stored history. Returns exit code 1 if there was a violation."""
    given = parse()
    if given.judge:
        verdict = judge(given.judge)
        for violation in verdict.violations[:SHOWN]:
            print(violation)
        print(f"prompts={verdict.prompts} answers={verdict.answers} violations={len(verdict.violations)}")
        return 1 if verdict.violations else 0
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    left = (given.hours or 0) * 60 or given.minutes
    while left > 0:
        minutes = min(left, 20.0) if given.hours else left
        if not run_once(given, seed, minutes):
            return 1
        left -= minutes
        seed += 1
    return 0


def run_once(given: argparse.Namespace, seed: int, minutes: float) -> bool:
    """Do one run. Returns whether it had no violation."""
    folder = Path(tempfile.mkdtemp(prefix=f"askback-chaos-{seed}-"))
    again = f"make chaos ARGS='--seed {seed} --minutes {minutes:g} --database {given.database}'"
    out(f"seed {seed}, {minutes:g} minutes on {given.database}; history in {folder}; again with: {again}")
    outcome = asyncio.run(run_plan(plan_of(given, seed, minutes), folder, out))
    for violation in outcome.verdict.violations[:SHOWN]:
        out(str(violation))
    kinds = ", ".join(f"{name} {count}" for name, count in sorted(outcome.faults.items()))
    out(f"faults: {kinds}")
    if outcome.verdict.violations:
        out(f"the history is kept in {folder}; replay: {again}")
    elif not given.keep:
        clean(folder)
    print(outcome.line, flush=True)
    return not outcome.verdict.violations


if __name__ == "__main__":
    sys.exit(main())
