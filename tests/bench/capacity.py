"""`python -m tests.bench.capacity`: many replicas, calculated from measured unit costs.

It prints the tables of docs/scale.md. `--set trip_us=900` replaces a unit cost of `unit_costs.json`.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from askback_server.storage.postgres_wakeups import MAX_PAYLOAD_BYTES

COSTS = Path(__file__).with_name("unit_costs.json")
REPLICAS = (1, 3, 10, 100)
BUSY = 0.7
"""Share of a CPU up to which a replica or the database is loaded: above it, latency grows."""
DATABASE_CPUS = 16
COMMITS_EACH = 2
"""Commits of a trip, the question and the answer; each is announced."""
NOTIFICATIONS_EACH = 150.0
"""Notifications per second of a replica under load: what waits while one is sent becomes one notification."""


@dataclass(frozen=True)
class Pattern:
    """Where the sessions of a question are."""

    name: str
    further: float
    """Further replicas whose consoles show a question, at most; infinity for all."""


PATTERNS = (
    Pattern("all sessions of a question at one replica", 0),
    Pattern("asked at one replica, answered at another", 1),
    Pattern("shown at every replica", math.inf),
)


@dataclass(frozen=True)
class Load:
    """The highest load of a number of replicas, and what it costs the database."""

    trips: float
    """Per second, of all replicas."""
    limit: str
    """What ends it."""
    database_cpus: float
    notifications: float
    """Per second."""
    connections: float
    polls: float
    """Transactions per second without any load."""


class Costs:
    """The unit costs by name."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> float:
        return self._values[name]


def read_costs(changed: Mapping[str, float] | None = None) -> Costs:
    """The measured unit costs, with changed ones."""
    found = {name: float(cost["value"]) for name, cost in json.loads(COSTS.read_text()).items()}
    if unknown := {*(changed or {})} - {*found}:
        raise KeyError(f"no such unit cost: {', '.join(sorted(unknown))}")
    return Costs(found | dict(changed or {}))


def most(costs: Costs, replicas: int, pattern: Pattern) -> Load:
    """The load at which a replica or the database is as busy as it may be."""
    shown = min(pattern.further, replicas - 1)
    heard = replicas - 1 - shown
    server_us = costs.trip_us + shown * costs.shown_us + heard * costs.heard_us
    by_servers = BUSY * 1e6 * replicas / server_us
    by_database = _most_of_database(costs, replicas, shown)
    trips = min(by_servers, by_database)
    return Load(
        trips,
        "server CPU" if by_servers <= by_database else "database CPU",
        _database_us(costs, replicas, shown, trips) / 1e6,
        _notifications(costs, replicas, trips),
        replicas * costs.connections,
        replicas * costs.idle_transactions,
    )


def _notifications(costs: Costs, replicas: int, trips: float) -> float:
    """Per second: at least as many as the announcements fill, at most one for each commit."""
    if replicas == 1:
        return 0.0  # nothing listens but the sender itself
    each = COMMITS_EACH * trips / replicas
    fullest = each * costs.announcement_bytes / MAX_PAYLOAD_BYTES
    return replicas * max(fullest, min(each, NOTIFICATIONS_EACH))


def _database_us(costs: Costs, replicas: int, shown: float, trips: float) -> float:
    """µs of database CPU in a second."""
    notified = _notifications(costs, replicas, trips) * (costs.notify_us + replicas * costs.listener_us)
    idle = replicas * costs.idle_db_percent * 10_000
    return trips * (costs.trip_db_us + shown * costs.shown_db_us) + notified + idle


def _most_of_database(costs: Costs, replicas: int, shown: float) -> float:
    """The trips per second at which the database is as busy as it may be."""
    low, high = 0.0, 1e7
    while high - low > 0.1:
        middle = (low + high) / 2
        is_below = _database_us(costs, replicas, shown, middle) <= BUSY * DATABASE_CPUS * 1e6
        low, high = (middle, high) if is_below else (low, middle)
    return low


def table_of_costs() -> str:
    """The unit costs, and the command that prints each."""
    lines = ["| unit cost | | `make bench-full` |", "|---|---|---|"]
    for cost in json.loads(COSTS.read_text()).values():
        lines.append(f"| {cost['what']} | {cost['value']:,g} {cost['unit']} | `CASES={cost['case']}` |")
    return "\n".join(lines)


def table_of_replicas(costs: Costs) -> str:
    """The highest load for each number of replicas and each pattern."""
    lines = [
        "| replicas | sessions | trips/s | compared with one | limit | database CPUs | notifications/s "
        "| connections | polls/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    one = most(costs, 1, PATTERNS[0]).trips
    for replicas in REPLICAS:
        for pattern in PATTERNS if replicas > 1 else PATTERNS[:1]:
            load = most(costs, replicas, pattern)
            cells: Sequence[str] = (
                f"{replicas}",
                pattern.name,
                _rounded(load.trips),
                f"x {load.trips / one:.1f}",
                load.limit,
                f"{load.database_cpus:.1f}",
                _rounded(load.notifications),
                _rounded(load.connections),
                _rounded(load.polls),
            )
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def table_of_sizes(costs: Costs) -> str:
    """What a large installation takes."""
    consoles, waiting, per_replica = 100_000, 100_000_000, 10_000
    replicas = consoles // per_replica
    a_second = waiting / 30 / 86_400
    rows = (
        ("replicas for 100,000 consoles, 10,000 each", f"{replicas}"),
        ("memory of the consoles, each replica", f"{per_replica * costs.console_kib / 1024:,.0f} MiB"),
        (
            "one prompt to all 100,000: CPU of each replica",
            f"{per_replica * costs.fanout_us / 1e6:.1f} s",
        ),
        (
            "a replica dies: its 10,000 consoles resume at the nine others",
            f"{per_replica * costs.open_ms / 1000 / (replicas - 1):.1f} s of CPU each",
        ),
        ("100 million waiting jobs on disk", f"{waiting * costs.waiting_disk_bytes / 1e9:,.0f} GB"),
        (
            "to ask them in 30 days: questions per second, and CPU of servers with the answers",
            f"{a_second:.0f}/s, {_rounded(a_second * costs.trip_us / 1e4)} % of a CPU",
        ),
        (
            "as many finished jobs kept for 30 days",
            f"{waiting * costs.finished_disk_bytes / 1e9:,.0f} GB",
        ),
    )
    return "\n".join(["| | |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows)])


def _rounded(value: float) -> str:
    """Two significant digits: the unit costs are no better."""
    if not value:
        return "0"
    digits = 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):,.{max(0, digits)}f}"


def tables(costs: Costs) -> dict[str, str]:
    """All tables by name. docs/scale.md has each below a comment with its name."""
    return {
        "unit costs": table_of_costs(),
        "replicas": table_of_replicas(costs),
        "sizes": table_of_sizes(costs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.capacity", description=__doc__)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a unit cost")
    changed = {name: float(value) for name, value in (item.split("=") for item in parser.parse_args().set)}
    print("\n\n".join(tables(read_costs(changed)).values()))


if __name__ == "__main__":
    main()
