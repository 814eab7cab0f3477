"""Jobs, prompts and answers in words."""

from __future__ import annotations

from collections.abc import Sequence

from askback._model.enums import DecisionKind, JobState
from askback._model.json_text import dumps, loads_spelled
from askback._model.prompts import PromptInfo
from askback._model.resolutions import AnswerInfo, Resolution
from askback._text.text import clean_json, one_line
from askback.terminal.author_words import answer_author
from askback.terminal.prompt_table import STATE_WORDS
from askback.terminal.words import names_words

JOB_STATES = {
    JobState.PENDING: "queued",
    JobState.RUNNING: "running",
    JobState.PENDING_HITL: "waiting for people",
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}
_DECISIONS = {
    DecisionKind.ACCEPT: "yes",
    DecisionKind.EDIT: "yes, with changes",
    DecisionKind.RESPOND: "answered",
    DecisionKind.REVISE: "no: to be done again",
    DecisionKind.REJECT: "no",
    DecisionKind.DISMISS: "dismissed",
}
_BATCH_CHARS = 40
"""The maximum number of characters of a batch's name. Generated ones fit."""


def decision_words(decision: DecisionKind) -> str:
    """A decision in words: `yes`, `no`, …"""
    return _DECISIONS.get(decision, str(decision))


def answer_words(answer: AnswerInfo) -> str:
    """The answer in one line: `yes, by ana: checked the ledger`."""
    who = one_line(answer_author(answer))
    who += f" (with others: batch {one_line(answer.batch_id, _BATCH_CHARS)})" if answer.batch_id else ""
    line = f"{decision_words(answer.decision)}, by {who}"
    if answer.values is not None:
        line += f" {json_words(answer.values_json)}"
    if answer.edits:
        line += f" [{', '.join(one_line(name) for name in answer.edits)} edited]"
    return f"{line}: {one_line(answer.comment)}" if answer.comment else line


def resolution_words(resolution: Resolution) -> str:
    """How a prompt ended, in one line."""
    if resolution.answer is not None:
        return answer_words(resolution.answer)
    reason = f": {one_line(resolution.reason)}" if resolution.reason else ""
    return f"{STATE_WORDS.get(resolution.state, str(resolution.state))}{reason}"


def audience_words(prompt: PromptInfo) -> str:
    """The people who may answer: `user ana, group release`, or everyone."""
    audience = prompt.proto.content.audience
    named = names_words(audience.users, audience.groups)
    return named or f"everyone with the console role in {one_line(prompt.proto.namespace)}"


def json_words(text: str) -> str:
    """JSON text (null for no text) on one line, safe for a terminal, its numbers as they were written."""
    return clean_json(dumps(loads_spelled(text or "null"), spaced=True))


def fields(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Aligned lines of names and values, without the empty ones."""
    shown = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    return [f"{name.ljust(width)}  {value}" for name, value in shown]
