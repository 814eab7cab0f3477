"""The deep-understanding state of a job."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from askback._model.jobs import parse_json
from askback.v1 import job_pb2


@dataclass(frozen=True, slots=True)
class Understanding:
    """What a job knows about its user's needs. The server appends each `deep_understanding` prompt to
    `questions_asked` and each answer to `answers`."""

    questions_asked: list[Any] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    research_performed: list[Any] = field(default_factory=list)
    summary: str = ""
    user_problem: str = ""
    readiness_score: float = 0.0
    complete: bool = False
    version: int = 0

    @classmethod
    def from_proto(cls, state: job_pb2.DeepUnderstanding) -> Understanding:
        """The state that a message describes."""
        return cls(
            parse_json(state.questions_asked_json) or [],
            parse_json(state.answers_json) or [],
            parse_json(state.research_performed_json) or [],
            state.understanding_summary,
            state.user_problem,
            state.readiness_score,
            state.complete,
            state.version,
        )
