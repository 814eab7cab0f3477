"""How a question of a job ends: with what `job.confirm` and its like return, or with an error."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from askback.enums import DecisionKind, PromptState
from askback.errors import PromptCancelled, PromptDeclined, PromptExpired
from askback.prompts import PromptInfo


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided; true only if that was ACCEPT."""

    decision: DecisionKind
    comment: str
    by: str
    """Who decided; empty when the deadline's default did."""
    at: datetime | None
    by_default: bool
    values: Any
    prompt: PromptInfo

    def __bool__(self) -> bool:
        return self.decision is DecisionKind.ACCEPT


@dataclass(frozen=True, slots=True)
class Preview:
    """What became of a preview; true if it was accepted, with edits or without."""

    decision: DecisionKind
    comment: str
    by: str
    at: datetime | None
    by_default: bool
    edits: dict[str, str]
    """New texts by content id; only what was changed."""
    prompt: PromptInfo

    def __bool__(self) -> bool:
        return self.decision in (DecisionKind.ACCEPT, DecisionKind.EDIT)

    def text(self, content_id: str) -> str:
        """A content as it was accepted: edited, or as it was shown. Raises KeyError."""
        if content_id in self.edits:
            return self.edits[content_id]
        for content in self.prompt.contents:
            if content.content_id == content_id:
                return content.text
        raise KeyError(content_id)


def decision_of(prompt: PromptInfo) -> Decision:
    """The decision of an ANSWERED prompt."""
    answer = prompt.answered
    assert answer is not None
    return Decision(
        answer.decision, answer.comment, answer.by, answer.at, answer.by_default, answer.values, prompt
    )


def preview_of(prompt: PromptInfo) -> Preview:
    """The outcome of an ANSWERED preview."""
    answer = prompt.answered
    assert answer is not None
    return Preview(
        answer.decision, answer.comment, answer.by, answer.at, answer.by_default, answer.edits, prompt
    )


def answered(prompt: PromptInfo) -> PromptInfo:
    """The closed prompt, if it was answered. Raises PromptExpired or PromptCancelled."""
    match prompt.state:
        case PromptState.ANSWERED:
            return prompt
        case PromptState.EXPIRED:
            raise PromptExpired(f"nobody answered {prompt.title!r} in time", prompt)
        case _:
            reason = prompt.resolution.reason if prompt.resolution else ""
            raise PromptCancelled(f"{prompt.title!r} was withdrawn: {reason or prompt.state}", prompt)


def declined(prompt: PromptInfo) -> PromptDeclined:
    """The error for an answer that gives no value."""
    answer = prompt.answered
    assert answer is not None
    words = f": {answer.comment}" if answer.comment else ""
    return PromptDeclined(
        f"{answer.by or 'somebody'} decided {answer.decision} on {prompt.title!r}{words}", prompt
    )
