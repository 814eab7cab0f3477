"""`make simulate ARGS="--schedules N --seed S"`: run many schedules and print the seeds that fail."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator

from tests.simulate.absent import AbsencesSchedule
from tests.simulate.consoles import AccessSchedule, ConverseSchedule, ReconnectSchedule
from tests.simulate.proposed import ProposalsSchedule
from tests.simulate.ruled import RulesSchedule
from tests.simulate.schedule import Schedule
from tests.simulate.voters import VotesSchedule
from tests.simulate.workers import ContestSchedule, WorkSchedule

KINDS: dict[str, Callable[[int], Schedule]] = {
    "converse": ConverseSchedule,
    "reconnect": ReconnectSchedule,
    "access": AccessSchedule,
    "work": WorkSchedule,
    "contest": ContestSchedule,
    "votes": VotesSchedule,
    "rules": RulesSchedule,
    "proposals": ProposalsSchedule,
    "absences": AbsencesSchedule,
}


def simulate(kind: str, first: int, schedules: int) -> Iterator[tuple[int, list[str], list[str]]]:
    """Run schedules. Yields seed, trace and verdicts of each one that fails."""
    for seed in range(first, first + schedules):
        schedule = KINDS[kind](seed)
        found = schedule.run()
        if found:
            yield seed, schedule.trace, found


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate ARGS=", description=__doc__)
    parser.add_argument("--schedules", type=int, default=1_000, help="number of schedules of each kind")
    parser.add_argument("--seed", type=int, default=None, help="the first seed; default: random")
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: all")
    args = parser.parse_args()
    first = random.SystemRandom().randrange(1 << 32) if args.seed is None else args.seed
    wrong = 0
    for kind in args.kind or KINDS:
        started = time.perf_counter()
        for seed, trace, found in simulate(kind, first, args.schedules):
            wrong += 1
            if args.schedules == 1:
                print("\n".join(trace))
            print(f"{kind}, seed {seed}: {'; '.join(found[:3])}", flush=True)
            print(f'  again: make simulate ARGS="--kind {kind} --schedules 1 --seed {seed}"', flush=True)
        took = time.perf_counter() - started
        rate = args.schedules / took * 60
        print(
            f"simulated {args.schedules} {kind} schedules in {took:.1f} s ({rate:,.0f} a minute), "
            f"seeds from {first}, wrong: {wrong}"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
