"""Reports the server's verdict on an answer: a sentence for people, a record for programs, an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from askback._model.enums import AnswerStatus
from askback.cli.exits import Exit, exit_of
from askback.cli.record import record
from askback.errors import AnswerInvalid, AskbackError, PromptClaimed, PromptClosed, PromptStale
from askback.terminal.verdicts import accepted_words, current_question, field_of, refusal_words
from askback.terminal.words import now

if TYPE_CHECKING:
    from askback._model.prompts import AnswerOutcome
    from askback.cli.output import Output

VERDICTS = (AnswerInvalid, PromptClosed, PromptStale, PromptClaimed)
_STATUS: dict[type[AskbackError], AnswerStatus] = {
    AnswerInvalid: AnswerStatus.INVALID,
    PromptClosed: AnswerStatus.CLOSED,
    PromptStale: AnswerStatus.STALE,
}


def refusal_record(error: AskbackError, **more: Any) -> dict[str, Any]:
    """A refused answer as a JSON object."""
    found: dict[str, Any] = {**more, "message": refusal_words(error, now()), "exit": int(exit_of(error))}
    found["status"] = str(_STATUS.get(type(error), error.code))
    found |= {"code": error.code, "reason": error.reason} if error.reason else {"code": error.code}
    if error.violations:
        found["violations"] = [{"field": v.field, "description": v.description} for v in error.violations]
    prompt = getattr(error, "prompt", None)
    if prompt is not None and prompt.proto.prompt_id:
        found["prompt"] = record(prompt.proto)
    if isinstance(error, PromptClaimed):
        found["claimedBy"] = error.claimed_by
    return found


def print_refusal(out: Output, error: AskbackError) -> Exit:
    """Print why an answer was not accepted, and return the exit code."""
    if out.as_json:
        found = refusal_record(error)
        out.error(found.pop("message"), **found)
    else:
        fields = "".join(f"\n  {field_of(v.field)}: {v.description}" for v in error.violations)
        asks = current_question(error)
        out.error(refusal_words(error, now()) + fields + (f"\n  {asks}" if asks else ""))
    return exit_of(error)


def outcome_record(outcome: AnswerOutcome) -> dict[str, Any]:
    """An accepted answer as a JSON object."""
    return {
        "status": str(outcome.status),
        "answerId": outcome.answer_id,
        "replayed": outcome.replayed,
        "prompt": record(outcome.prompt.proto),
    }


def print_outcome(out: Output, outcome: AnswerOutcome) -> None:
    """Print an accepted answer."""
    if out.as_json:
        out.json(outcome_record(outcome))
    else:
        out.line(out.style(accepted_words(outcome), fg="green"))
