"""Compile each SQL statement once per test process, not once per database.

SQLAlchemy caches compiled statements per engine and dialect. Every test creates its own engine, and would
compile about fifty statements before its first assertion: a quarter of its CPU time.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import util
from sqlalchemy.engine import Engine


class _ByKindOfDialect(util.LRUCache[Any, Any]):
    """Treats dialects of one class as equal: a test process uses one version of each database."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((type(key[0]), *key[1:]), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__((type(key[0]), *key[1:]), value)


def share_compiled_statements() -> None:
    """Give every engine of this process the same cache."""
    shared = _ByKindOfDialect(5_000)
    # Each engine assigns a cache of its own; the setter ignores it.
    Engine._compiled_cache = property(  # type: ignore[assignment]
        lambda engine: shared, lambda engine, cache: None
    )
