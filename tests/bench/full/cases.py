"""The cases by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.bench.full import big_job, consoles, deadlines, dispatch, load, replicas, storm
from tests.bench.full.frame import Case

ALL: Mapping[str, Case] = {
    "trips": load.trips,
    "jobs": load.jobs,
    "consoles": consoles.consoles,
    "burst": consoles.burst,
    "snapshot": consoles.snapshot,
    "waiting": load.waiting,
    "finished": load.finished,
    "deadlines": deadlines.deadlines,
    "storm": storm.storm,
    "steps": big_job.steps,
    "asks": big_job.asks,
    "dispatch": dispatch.dispatch,
    "replicas": replicas.replicas,
}
ON_POSTGRES: frozenset[str] = frozenset({"replicas"})
"""Cases that SQLite cannot run."""
