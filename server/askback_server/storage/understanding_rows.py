"""Conversion between deep-understanding states and rows."""

from __future__ import annotations

from typing import Any

from askback_server.domain.jobs import DeepUnderstanding
from askback_server.storage.rows import Row

UNDERSTANDING_COLUMNS = (
    "job_id",
    "questions_asked",
    "answers",
    "research_performed",
    "understanding_summary",
    "user_problem",
    "readiness_score",
    "complete",
    "version",
    "updated_at",
)


def understanding_values(state: DeepUnderstanding) -> tuple[Any, ...]:
    """The values of UNDERSTANDING_COLUMNS."""
    return (
        state.job_id,
        state.questions_asked_json,
        state.answers_json,
        state.research_performed_json,
        state.understanding_summary,
        state.user_problem,
        state.readiness_score,
        state.complete,
        state.version,
        state.updated_at,
    )


def to_understanding(row: Row) -> DeepUnderstanding:
    """The deep-understanding state of a row."""
    return DeepUnderstanding(
        job_id=row["job_id"],
        questions_asked_json=row["questions_asked"],
        answers_json=row["answers"],
        research_performed_json=row["research_performed"],
        understanding_summary=row["understanding_summary"],
        user_problem=row["user_problem"],
        readiness_score=row["readiness_score"],
        complete=bool(row["complete"]),
        version=row["version"],
        updated_at=row["updated_at"],
    )
