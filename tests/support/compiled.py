"""Statements compiled once for all databases of a test process, not once for each.

SQLAlchemy keeps what it has compiled with the engine, by dialect. A test has an engine of its own, and would
compile about fifty statements before its first assertion: a quarter of its processor time.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import util
from sqlalchemy.engine import Engine


class _ByKindOfDialect(util.LRUCache[Any, Any]):
    """Takes two dialects of one class for the same. All databases of a kind are of one version here."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((type(key[0]), *key[1:]), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__((type(key[0]), *key[1:]), value)


def share_compiled_statements() -> None:
    """Give every engine of this process the same cache."""
    shared = _ByKindOfDialect(5_000)
    # Each engine sets one of its own, which is left.
    Engine._compiled_cache = property(  # type: ignore[assignment]
        lambda engine: shared, lambda engine, cache: None
    )
