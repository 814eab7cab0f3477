"""Compile each SQL statement once per test process, not once per database.

SQLAlchemy caches compiled statements per engine and dialect. Every test creates its own engine, and would
compile about fifty statements before its first assertion: a quarter of its CPU time. The one statement that
a database builds for itself, of the timers, is built once too: every service sends it at its start.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import util
from sqlalchemy.engine import Engine

from askback_server.ports.clock import SystemClock
from askback_server.storage.work_queue import WorkQueueStore


class _ByKindOfDialect(util.LRUCache[Any, Any]):
    """Treats dialects of one class as equal: a test process uses one version of each database."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((type(key[0]), *key[1:]), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__((type(key[0]), *key[1:]), value)


class _DueStatements:
    """Builds the statement of the timers once for each kind of dialect, and for each clock of a test: on
    SQLite the statement asks the clock of its database for the time."""

    def __init__(self) -> None:
        self._build = WorkQueueStore._due_within
        self._built: dict[Any, Any] = {}

    def within(self, store: WorkQueueStore, ahead: timedelta) -> Any:
        """As `WorkQueueStore._due_within`."""
        clock = getattr(store._dialect, "_clock", None)
        if clock is not None and type(clock) is not SystemClock:
            return self._build(store, ahead)
        key = (type(store._dialect), ahead)
        if key not in self._built:
            self._built[key] = self._build(store, ahead)
        return self._built[key]


def share_compiled_statements() -> None:
    """Give every engine of this process the same cache."""
    due = _DueStatements()
    WorkQueueStore._due_within = lambda store, ahead: due.within(store, ahead)  # type: ignore[method-assign, assignment]
    shared = _ByKindOfDialect(5_000)
    # Each engine assigns a cache of its own; the setter ignores it.
    Engine._compiled_cache = property(  # type: ignore[assignment]
        lambda engine: shared, lambda engine, cache: None
    )
