"""`askback inbox ls --watch`: a table of the open prompts, then a line for each change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from askback._console.console_view import Closing
from askback._model.inbox_order import inbox_order
from askback._model.prompts import PromptInfo
from askback._model.shown import shows_same
from askback._text.handle import MIN_HANDLE_CHARS
from askback._text.text import columns, cut, one_line
from askback.cli.inbox.prompt_rows import write_prompts
from askback.cli.record import record
from askback.terminal.author_words import answer_author
from askback.terminal.prompt_table import STATE_WORDS, end_fields, prompt_row, time_left_words
from askback.terminal.vote_words import changes_of_votes, short_progress
from askback.terminal.words import closing_words, now

if TYPE_CHECKING:
    from askback.cli.context import CommandContext

_SPAN_WIDTH = 11
"""The width of a span with two units, such as `23 h 59 min`."""
_TITLE_WIDTH = 40
_MIN_TITLE_WIDTH = 20


async def watch_prompts(context: CommandContext, narrowed: dict[str, Any]) -> None:
    """Follow the open prompts of a view; after a reconnect only the changes since then are printed.

    People see a table, then lines that begin with the time left and the title. Programs get one event per
    line; with -o tsv the event is followed by the fields of `inbox ls`.
    """
    out = context.out
    known: dict[str, PromptInfo] = {}
    live = False
    async for change in context.client.watch_prompts(**narrowed):
        if isinstance(change, PromptInfo):
            before = known.get(change.prompt_id)
            known[change.prompt_id] = change
            if out.as_json:
                out.json({"event": "open", "prompt": record(change.proto)})
            elif out.as_tsv:
                out.tsv(["open" if before is None else "changed", *prompt_row(change, now())])
            elif live and (what := "new" if before is None else _difference(before, change)):
                out.line(_line(out.width, time_left_words(change, now()), change, what))
        elif isinstance(change, Closing):
            removed = known.pop(change.prompt_id, None)
            if out.as_json:
                out.json(_closing_record(change))
            elif removed is not None and out.as_tsv:
                fields = [*prompt_row(removed, now())[:8], _state(change), removed.job_id]
                out.tsv([change.why, *fields, *end_fields(change.resolution)])
            elif live and removed is not None:
                out.line(_line(out.width, _state(change), removed, _ending(change)))
        elif out.as_json:
            out.json({"event": "caughtUp", "openPrompts": change.open_prompts})
        elif not live:
            live = True
            if not out.as_tsv:
                at = now()
                await write_prompts(
                    context, sorted(known.values(), key=lambda prompt: inbox_order(prompt, at))
                )
            out.note(f"{len(known)} open; Ctrl-C ends this")


def _difference(before: PromptInfo, newest: PromptInfo) -> str:
    """The change in words; empty for a change that does not matter to people."""
    if not shows_same(before, newest):
        return f"changed, revision {newest.revision}"
    if before.claimed_by != newest.claimed_by:
        return f"claimed by {newest.claimed_by}" if newest.claimed_by else "released"
    if what := changes_of_votes(before, newest, None):
        return f"{what}; {short_progress(newest)}"
    if before.escalation_step < newest.escalation_step:
        return "escalated"
    return "reminder" if before.remind_count < newest.remind_count else ""


def _ending(closing: Closing) -> str:
    """How the prompt ended, without the state, with which the line begins: `by ana: ACCEPT`."""
    resolution = closing.resolution
    if resolution is None:
        return closing_words(closing, now())
    answer = resolution.answer
    if answer is not None:
        return f"by {'default' if answer.by_default else answer_author(answer)}: {answer.decision}"
    by = f"by {resolution.actor}" if resolution.actor else ""
    return f"{by}: {resolution.reason}" if resolution.reason else by


def _state(closing: Closing) -> str:
    """The state of a prompt that has ended; `open` for one that has only left the view."""
    if closing.resolution is None:
        return "open"
    return STATE_WORDS.get(closing.resolution.state, closing.resolution.state.lower())


def _line(width: int, left: str, prompt: PromptInfo, what: str) -> str:
    """The line for one change, with the time left and the title first; the title is cut to fit."""
    rest = f"{one_line(prompt.kind, 12)}  {prompt.prompt_id[-MIN_HANDLE_CHARS:]}  {one_line(what)}"
    remaining = max(width - _SPAN_WIDTH - columns(rest) - 4, _MIN_TITLE_WIDTH) if width else 0
    title = one_line(prompt.title, min(remaining, _TITLE_WIDTH) if remaining else 0)
    return cut(f"{left.ljust(_SPAN_WIDTH)}  {title}  {rest}", width)


def _closing_record(closing: Closing) -> dict[str, Any]:
    found: dict[str, Any] = {"event": "closed" if closing.why == "closed" else "removed"}
    found |= {"promptId": closing.prompt_id, "jobId": closing.job_id}
    if closing.resolution is not None:
        found["state"] = str(closing.resolution.state)
        found["actor"] = closing.resolution.actor
        found["reason"] = closing.resolution.reason
        if closing.resolution.answer is not None:
            found["by"] = closing.resolution.answer.by
            found["decision"] = str(closing.resolution.answer.decision)
            if closing.resolution.answer.by_default:
                found["byDefault"] = True
            if closing.resolution.answer.by_override:
                found["byOverride"] = True
            if closing.resolution.answer.by_rule:
                found["ruleId"] = closing.resolution.answer.rule_id
                found["ruleRevision"] = closing.resolution.answer.rule_revision
    return found
