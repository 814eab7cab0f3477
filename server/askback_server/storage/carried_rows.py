"""What is carried over to a retried job <-> rows."""

from __future__ import annotations

from askback_server.domain.documents import resolution_from_json
from askback_server.domain.retries import CarriedAnswer
from askback_server.storage.rows import Row

CARRIED_ANSWER_COLUMNS = ("job_id", "source_id", "key", "prompt_id")
"""Which answer of the source is copied to the new job."""

CARRIED_CHECKPOINT_COLUMNS = ("job_id", "source_id")
"""From which job all checkpoints are copied to the new one."""


def to_carried(row: Row) -> CarriedAnswer:
    """An answer of an earlier job as it is stored."""
    answer = resolution_from_json(row["response"]).answer
    assert answer is not None
    return CarriedAnswer(row["key"], row["digest"], row["from_job_id"], answer)
