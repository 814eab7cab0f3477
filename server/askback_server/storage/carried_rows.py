"""Rows of answers and checkpoints that a retry copies from the job it retries."""

from __future__ import annotations

from askback_server.domain.documents import resolution_from_json
from askback_server.domain.retries import CarriedAnswer
from askback_server.storage.rows import Row

CARRIED_ANSWER_COLUMNS = ("job_id", "source_id", "key", "prompt_id")
"""Identify the answer of the source to copy to the new job."""

CARRIED_CHECKPOINT_COLUMNS = ("job_id", "source_id")
"""Identify the job whose checkpoints are all copied to the new one."""


def to_carried(row: Row) -> CarriedAnswer:
    """The carried answer of a row."""
    answer = resolution_from_json(row["response"]).answer
    assert answer is not None
    return CarriedAnswer(row["key"], row["digest"], row["from_job_id"], answer)
