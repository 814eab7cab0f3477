"""Short forms of values for `repr`: they fit into one line of a log or of a failing test."""

from __future__ import annotations

from reprlib import Repr
from typing import Any

MAX_CHARS = 48
"""Maximum number of characters of one value."""

_repr = Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = MAX_CHARS


def short(value: Any) -> str:
    """The value's repr, cut to `MAX_CHARS` characters."""
    text = _repr.repr(value)
    return text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 1]}…"


def repr_of_content(content: Any) -> str:
    """`<Content 'notes' text/markdown: 'Pay **12.5** …'>`."""
    return f"<Content {content.content_id!r} {content.media_type}: {short(content.url or content.text)}>"


def repr_of_answer(answer: Any) -> str:
    """`<AnswerInfo ACCEPT by 'ana', comment='checked'>`."""
    return f"<AnswerInfo {_answer(answer)}>"


def _answer(answer: Any) -> str:
    who = "the default" if answer.by_default else short(answer.by)
    who += f" by the rule {answer.rule_id}" if answer.rule_id else ""
    who += f" on behalf of {short(answer.on_behalf_of)}" if answer.on_behalf_of else ""
    given = {name: getattr(answer, name) for name in ("values", "edits", "comment")}
    return ", ".join(
        [f"{answer.decision} by {who}", *(f"{name}={short(value)}" for name, value in given.items() if value)]
    )


def repr_of_vote(vote: Any) -> str:
    """`<Vote EDIT by 'ana', edits={'notes': '…'}>`."""
    given = {name: getattr(vote, name) for name in ("values", "edits", "comment")}
    behalf = f" on behalf of {short(vote.on_behalf_of)}" if vote.on_behalf_of else ""
    parts = [f"{vote.decision} by {short(vote.by)}{behalf}"]
    parts += [f"{name}={short(value)}" for name, value in given.items() if value]
    return f"<Vote {', '.join(parts)}>"


def repr_of_resolution(resolution: Any) -> str:
    """`<Resolution ANSWERED: ACCEPT by 'ana'>` or `<Resolution CANCELLED by 'bob': 'not needed'>`."""
    if resolution.answer is not None:
        return f"<Resolution {resolution.state}: {_answer(resolution.answer)}>"
    return f"<Resolution {resolution.state} by {short(resolution.actor)}: {short(resolution.reason)}>"


def repr_of_outcome(outcome: Any) -> str:
    """`<AnswerOutcome ACCEPTED: 'Pay?' ANSWERED: ACCEPT by 'ana'>`."""
    replayed = ", replayed" if outcome.replayed else ""
    prompt = outcome.prompt
    answered = f": {_answer(prompt.answered)}" if prompt.answered is not None else ""
    return f"<AnswerOutcome {outcome.status}{replayed}: {short(prompt.title)} {prompt.state}{answered}>"


def repr_of_batch_result(result: Any) -> str:
    """`<BatchResult ACCEPTED: 'Pay?' ANSWERED>` or `<BatchResult PromptClaimed: 'Pay?'>`."""
    replayed = ", replayed" if result.replayed else ""
    what = result.status if result.state != "UNSPECIFIED" else type(result.error).__name__
    state = f" {result.state}" if result.state != "UNSPECIFIED" else ""
    return f"<BatchResult {what}{replayed}: {short(result.prompt.title)}{state}>"
