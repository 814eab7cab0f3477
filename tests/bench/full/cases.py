"""The cases by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.bench.full import consoles, load
from tests.bench.full.frame import Case

ALL: Mapping[str, Case] = {
    "trips": load.trips,
    "jobs": load.jobs,
    "consoles": consoles.consoles,
    "burst": consoles.burst,
    "snapshot": consoles.snapshot,
    "waiting": load.waiting,
    "finished": load.finished,
}
ON_POSTGRES: frozenset[str] = frozenset()
"""Cases that SQLite cannot run."""
