"""The server's verdict on an answer, in one sentence."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from askback._model.enums import AnswerStatus, DecisionKind
from askback._model.prompts import AnswerOutcome
from askback._model.violations import place_in_values
from askback.errors import AnswerInvalid, AskbackError, PromptClaimed, PromptClosed, PromptStale
from askback.terminal.vote_words import more_words
from askback.terminal.words import ending
from askback.terminal.writer import Writer

_DONE: Final = {
    DecisionKind.ACCEPT: "Approved",
    DecisionKind.EDIT: "Approved with changes",
    DecisionKind.RESPOND: "Answered",
    DecisionKind.REVISE: "Sent back for changes",
    DecisionKind.REJECT: "Rejected",
    DecisionKind.DISMISS: "Dismissed",
}


def decision_result(decision: DecisionKind) -> str:
    """The result of a decision: `Approved`, `Rejected`, …"""
    return _DONE.get(decision, f"Answered ({decision})")


def accepted_words(outcome: AnswerOutcome) -> str:
    """The sentence for an accepted answer: `Approved: Pay 12.5 EUR for A-17?`."""
    before = " (this very answer had been taken before)" if outcome.replayed else ""
    title = outcome.prompt.title
    if outcome.status is AnswerStatus.RECORDED:
        return f"Recorded: your vote{_behalf_of_vote(outcome)} on {title}{_progress(outcome)}{before}"
    answer = outcome.prompt.answered
    how = f" on behalf of {answer.on_behalf_of}" if answer and answer.on_behalf_of else ""
    how += " (override)" if answer and answer.by_override else ""
    return f"{decision_result(answer.decision) if answer else 'Answered'}{how}: {title}{before}"


def _behalf_of_vote(outcome: AnswerOutcome) -> str:
    """In whose place the vote counts."""
    names = (vote.on_behalf_of for vote in outcome.prompt.votes if vote.answer_id == outcome.answer_id)
    return f" on behalf of {name}" if (name := next(names, "")) else ""


def _progress(outcome: AnswerOutcome) -> str:
    """What has become of the prompt since a vote: `; 1 more needed (1 of release)`."""
    prompt = outcome.prompt
    if not prompt.is_open:
        return f"; it is {prompt.state.lower()} now"
    vote = next((vote for vote in prompt.votes if vote.answer_id == outcome.answer_id), None)
    if vote is None:
        return "; it does not count any more"
    return "".join(f"; {more_words(count)}" for count in prompt.vote_counts if count.outcome == vote.outcome)


def refusal_words(error: AskbackError, at: datetime) -> str:
    """The sentence for an answer that was not accepted: `CLOSED: answered by bob …`."""
    if isinstance(error, PromptClosed):
        how = ending(error.resolution, at)
        return f"CLOSED: {how}; your answer came too late, was kept for the record and changes nothing"
    if isinstance(error, PromptStale):
        now = f"; it is at revision {error.prompt.revision} now" if error.prompt else ""
        return f"STALE: the question changed after you saw it{now}. Nothing was decided: read it again"
    if isinstance(error, AnswerInvalid):
        return "INVALID: the answer was refused, and the prompt stays open"
    if isinstance(error, PromptClaimed):
        who = error.claimed_by or "someone else"
        return f"CLAIMED: {who} has taken it on; nothing was decided"
    return error.message


def write_refusal(writer: Writer, error: AskbackError, at: datetime) -> None:
    """Write why an answer was not accepted, and the violations field by field."""
    writer.line(refusal_words(error, at), "error")
    if asks := current_question(error):
        writer.line(f"  {asks}", "warning")
    for violation in error.violations:
        writer.wrap(f"  ! {field_of(violation.field)}: {violation.description}", "warning", "    ")


def current_question(error: AskbackError) -> str:
    """The title of the revision that a stale answer has missed; empty for any other error."""
    if not isinstance(error, PromptStale) or error.prompt is None:
        return ""
    return f"revision {error.prompt.revision} asks: [{error.prompt.kind}] {error.prompt.title}"


def field_of(path: str) -> str:
    """The field of a violation as people know it: `values_json/amount` is `amount`."""
    place = place_in_values(path)
    return "/".join(place) if place else path
