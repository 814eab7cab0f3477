"""SQLite: what a retried job carries over is copied by the database; the values may be large."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from askback_server.storage.batch import PARTS, Values


class Copy:
    """A statement that copies from another job, as text, with a row's values by name."""

    __slots__ = ("parameters", "sql")

    def __init__(self, sql: str, part: str) -> None:
        self.sql = sql
        self.parameters: Callable[[Values], Any] = lambda row: dict(zip(PARTS[part], row, strict=True))


COPIES = {
    "carried_answers": Copy(
        "INSERT INTO job_carried_answers (job_id, key, digest, from_job_id, prompt_id, response) "
        "SELECT :job_id, key, digest, job_id, interaction_id, response_data FROM hitl_interactions "
        "WHERE interaction_id = :prompt_id AND job_id = :source_id UNION ALL "
        "SELECT :job_id, key, digest, from_job_id, prompt_id, response FROM job_carried_answers "
        "WHERE job_id = :source_id AND key = :key AND prompt_id = :prompt_id",
        "carried_answers",
    ),
    "carried_checkpoints": Copy(
        "INSERT INTO job_checkpoints (job_id, key, value, created_at) "
        "SELECT :job_id, key, value, created_at FROM job_checkpoints WHERE job_id = :source_id",
        "carried_checkpoints",
    ),
}
"""By the part of a batch that they write."""
