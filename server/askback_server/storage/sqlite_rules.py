"""The part of a batch write on SQLite that guards and counts the rules which it uses."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from askback_server.storage.types import instant_text

_RULE = (
    "SELECT max_uses, uses FROM rules WHERE rule_id = ? AND enabled AND deleted_at IS NULL AND revision > 0 "
    "AND expires_at > ?"
)
_SET = "SELECT 1 FROM rule_sets WHERE namespace = ? AND version = ?"
_AUTHOR = (
    "SELECT 1 FROM people WHERE namespace = ? AND subject = ? AND updated_at = ? AND active "
    "AND deleted_at IS NULL"
)
_COUNT = "UPDATE rules SET uses = uses + ? WHERE rule_id = ?"


class RuleGuards:
    """Checks the rules of jobs, and counts their uses. SQLite has one writer, so nothing needs a lock."""

    def __init__(self, cursor: sqlite3.Cursor, now: datetime, uses: Sequence[tuple[Any, ...]]) -> None:
        """`uses` are rows of the part `rule_uses` of a batch."""
        self._cursor = cursor
        self._now = now
        self._uses: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for job_id, *use in uses:
            self._uses[job_id].append(tuple(use))
        self._in_batch = Counter(use[1] for use in uses)

    def hold(self, job_id: str) -> bool:
        """Whether all rules that a job uses are as they were read, and have uses left for the whole batch."""
        return all(map(self._is_valid, self._uses.get(job_id, ())))

    def _is_valid(self, use: tuple[Any, ...]) -> bool:
        rule_id, namespace, set_version, author, author_version = use
        found = self._one(_RULE, rule_id, instant_text(self._now))
        if found is None or (found[0] and found[1] + self._in_batch[rule_id] > found[0]):
            return False
        if self._one(_SET, namespace, set_version) is None:
            return False
        return author_version is None or bool(
            self._one(_AUTHOR, namespace, author, instant_text(author_version))
        )

    def _one(self, sql: str, *values: Any) -> Any:
        return self._cursor.execute(sql, values).fetchone()

    def count_uses(self, written: Collection[str]) -> None:
        """Count the uses of the jobs that were written."""
        counts = Counter(use[0] for job_id, uses in self._uses.items() if job_id in written for use in uses)
        for rule_id, count in counts.items():
            self._cursor.execute(_COUNT, (count, rule_id))
