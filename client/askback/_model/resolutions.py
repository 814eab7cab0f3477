"""How a prompt ended, and the answer that counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from askback._model import brief
from askback._model.enums import AnswerSource, DecisionKind, PromptState, member_of
from askback._model.json_text import loads
from askback._model.times import moment
from askback._model.violations import Violation
from askback.v1 import prompt_pb2 as pb


@dataclass(frozen=True, slots=True, repr=False)
class AnswerInfo:
    """The answer of a person, or of the deadline's default (then `by_default` is true).

    `values` is None if `values_json` is not JSON, in an answer that was refused for this reason.
    """

    answer_id: str
    decision: DecisionKind
    values: Any
    edits: dict[str, str]
    comment: str
    by: str
    at: datetime | None
    revision: int
    by_default: bool
    values_json: str = ""
    violations: tuple[Violation, ...] = ()
    """Why the answer was refused; only in the list that `Client.answers` returns."""
    source: AnswerSource = AnswerSource.UNSPECIFIED
    """A person, a default, a test, the override of an admin, or a rule."""
    batch_id: str = ""
    """The name of the decision on several prompts (`answer_prompts`); empty: it was given alone."""
    on_behalf_of: str = ""
    """The person in whose place `by` gave it, by a delegation; empty: by a right of its own."""
    rule_id: str = ""
    """The rule that gave it in the name of `by`; empty: a person did."""
    rule_revision: int = 0
    """The revision of that rule."""
    __repr__ = brief.repr_of_answer

    @classmethod
    def from_proto(cls, answer: pb.Answer) -> AnswerInfo:
        """The answer that a message describes."""
        return cls(
            answer.answer_id,
            member_of(DecisionKind, pb.Decision, "DECISION_", answer.decision),
            values_of_text(answer.values_json),
            {edit.content_id: edit.text for edit in answer.edits},
            answer.comment,
            answer.user_id,
            moment(answer, "create_time"),
            answer.revision,
            answer.source == pb.ANSWER_SOURCE_TIMEOUT_DEFAULT,
            answer.values_json,
            source=member_of(AnswerSource, pb.AnswerSource, "ANSWER_SOURCE_", answer.source),
            batch_id=answer.batch_id,
            on_behalf_of=answer.on_behalf_of,
            rule_id=answer.rule_id,
            rule_revision=answer.rule_revision,
        )

    @property
    def by_override(self) -> bool:
        """Whether an admin gave it by an override."""
        return self.source is AnswerSource.OVERRIDE

    @property
    def by_rule(self) -> bool:
        """Whether a rule gave it, in the name of its author `by`."""
        return self.source is AnswerSource.RULE


def values_of_text(text: str) -> Any:
    """The values of an answer; None for no text, and for one that is not JSON."""
    try:
        return loads(text) if text else None
    except (ValueError, RecursionError):
        return None


@dataclass(frozen=True, slots=True, repr=False)
class Resolution:
    """The end of a prompt. There is exactly one, the same for every reader."""

    state: PromptState
    answer: AnswerInfo | None
    actor: str
    reason: str
    at: datetime | None
    __repr__ = brief.repr_of_resolution

    @classmethod
    def from_proto(cls, resolution: pb.Resolution) -> Resolution:
        """The resolution that a message describes."""
        return cls(
            member_of(PromptState, pb.PromptState, "PROMPT_STATE_", resolution.state),
            AnswerInfo.from_proto(resolution.answer) if resolution.HasField("answer") else None,
            resolution.actor,
            resolution.reason,
            moment(resolution, "time"),
        )
