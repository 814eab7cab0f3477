"""Answers: what a person, or the default of a deadline, decided on a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from askback_server.domain.decisions import Decision, Edit
from askback_server.domain.digests import digest_of
from askback_server.domain.evolve import cached_property, fast_init


class AnswerSource(StrEnum):
    """Where an answer comes from."""

    HUMAN = "HUMAN"
    TIMEOUT_DEFAULT = "TIMEOUT_DEFAULT"
    TEST = "TEST"
    OVERRIDE = "OVERRIDE"
    RULE = "RULE"


@fast_init
@dataclass(frozen=True)  # no slots: see evolve.py
class Answer:
    """A decision on a prompt. `values_json` is stored as it was sent; empty if there are no values."""

    answer_id: str
    decision: Decision
    values_json: str
    edits: tuple[Edit, ...]
    comment: str
    source: AnswerSource
    user_id: str
    revision: int
    created_at: datetime
    batch_id: str = ""
    """Of the AnswerPrompts call by which it was given; empty for an answer to one prompt."""
    rule: str = ""
    """The rule that gave it in the name of `user_id`, as in `Rule.ref`; empty for an answer of a person."""
    on_behalf_of: str = ""
    """The person by whose right it was given, if that was delegated; found by the server."""

    @property
    def people(self) -> frozenset[str]:
        """The author, and the person in whose place it was given."""
        return frozenset({self.user_id, self.on_behalf_of} - {""})

    @cached_property
    def size(self) -> int:
        """About how many bytes its texts take."""
        edited = sum(len(e.text) for e in self.edits) if self.edits else 0
        return len(self.values_json) + len(self.comment) + edited

    @property
    def digest(self) -> str:
        """A digest of the answer and its author, without the time: equal answers have equal digests. Also
        without `on_behalf_of`, which is not sent: a repeated answer is the same after the delegation has
        ended."""
        parts = [
            self.user_id,
            self.revision,
            str(self.decision),
            self.values_json,
            [[e.content_id, e.text] for e in self.edits],
            self.comment,
        ]
        if self.source is not AnswerSource.HUMAN:
            parts.append(str(self.source))
        if self.batch_id:
            parts.append(["batch", self.batch_id])
        if self.rule:
            parts.append(["rule", self.rule])
        return digest_of(parts)
