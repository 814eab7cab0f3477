"""What became of an answer, in one clear sentence."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from askback._model.enums import AnswerStatus, DecisionKind
from askback._model.prompts import AnswerOutcome
from askback.errors import AnswerInvalid, AskbackError, PromptClaimed, PromptClosed, PromptStale
from askback.terminal.paper import Paper
from askback.terminal.words import ending

_DONE: Final = {
    DecisionKind.ACCEPT: "Approved",
    DecisionKind.EDIT: "Approved with changes",
    DecisionKind.RESPOND: "Answered",
    DecisionKind.REVISE: "Sent back for changes",
    DecisionKind.REJECT: "Rejected",
    DecisionKind.DISMISS: "Dismissed",
}


def done(decision: DecisionKind) -> str:
    """A decision as a result: `Approved`, `Rejected`, …"""
    return _DONE.get(decision, f"Answered ({decision})")


def taken(outcome: AnswerOutcome) -> str:
    """An answer that was taken: `Approved: Pay 12.5 EUR for A-17?`."""
    before = " (this very answer had been taken before)" if outcome.replayed else ""
    title = outcome.prompt.title
    if outcome.status is AnswerStatus.RECORDED:
        return f"Recorded: {title} (your answer is kept, and the prompt stays open){before}"
    answer = outcome.prompt.answered
    return f"{done(answer.decision) if answer else 'Answered'}: {title}{before}"


def refused(error: AskbackError, at: datetime) -> str:
    """An answer that was not."""
    if isinstance(error, PromptClosed):
        how = ending(error.resolution, at)
        return f"CLOSED: {how}; your answer came too late, was kept for the record and changes nothing"
    if isinstance(error, PromptStale):
        now = f"; it is at revision {error.prompt.revision} now" if error.prompt else ""
        return f"STALE: the question changed after you saw it{now}. Nothing was decided: read it again"
    if isinstance(error, AnswerInvalid):
        return "INVALID: the answer was refused, and the prompt stays open"
    if isinstance(error, PromptClaimed):
        who = error.claimed_by or "somebody else"
        return f"CLAIMED: {who} has taken it on; nothing was decided"
    return error.message


def tell(paper: Paper, error: AskbackError, at: datetime) -> None:
    """Print why an answer was not taken, and the fields at fault."""
    paper.line(refused(error, at), "error")
    if asks := asks_now(error):
        paper.line(f"  {asks}", "warning")
    for violation in error.violations:
        paper.line(f"  ! {field_of(violation.field)}: {violation.description}", "warning")


def asks_now(error: AskbackError) -> str:
    """What a question that has changed is now; empty for any other error."""
    if not isinstance(error, PromptStale) or error.prompt is None:
        return ""
    return f"revision {error.prompt.revision} asks: [{error.prompt.kind}] {error.prompt.title}"


def field_of(path: str) -> str:
    """A violation's path as people know it: `values_json/amount` is `amount`."""
    name = path.removeprefix("values_json/")
    return name.replace("~1", "/").replace("~0", "~") if name != path else path
