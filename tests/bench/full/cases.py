"""The cases by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.bench.full import big_job, cleanup, consoles, deadlines, dispatch, fleet, load, replicas, storm
from tests.bench.full.frame import Case

ALL: Mapping[str, Case] = {
    "trips": load.trips,
    "jobs": load.jobs,
    "consoles": consoles.consoles,
    "burst": consoles.burst,
    "snapshot": consoles.snapshot,
    "waiting": load.waiting,
    "parked": load.parked,
    "finished": load.finished,
    "cleanup": cleanup.cleanup,
    "deadlines": deadlines.deadlines,
    "storm": storm.storm,
    "steps": big_job.steps,
    "asks": big_job.asks,
    "dispatch": dispatch.dispatch,
    "replicas": replicas.replicas,
    "fleet": fleet.fleet,
}
ON_POSTGRES: frozenset[str] = frozenset({"replicas", "fleet"})
"""Cases that SQLite cannot run."""
