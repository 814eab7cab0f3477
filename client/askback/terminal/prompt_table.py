"""Prompts as a table, with the time left, the kind and the title first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from askback._model.enums import PromptState
from askback._model.identity import Identity
from askback._model.prompts import PromptInfo
from askback._model.resolutions import Resolution
from askback._text.handle import handles
from askback._text.spans import Times, exact_time
from askback._text.table import Column, lines
from askback.terminal import words
from askback.terminal.delegation_words import holder_of
from askback.terminal.vote_words import short_progress

STATE_WORDS = {
    PromptState.PENDING: "open",
    PromptState.ANSWERED: "answered",
    PromptState.EXPIRED: "expired",
    PromptState.CANCELLED: "withdrawn",
    PromptState.SUPERSEDED: "superseded",
}
"""The names of a prompt's states for people."""
_KIND_WIDTH = 12
_NAME_WIDTH = 16
"""The maximum width of a kind, and of a name."""
_OTHER_LINES = 5
"""Lines of a screen without prompts: the count, the header, how many more, a note, the input."""
_MIN_PROMPTS = 5
"""The minimum number of prompts, on however small a screen."""


def prompt_columns(
    prompts: Sequence[PromptInfo],
    at: datetime,
    *,
    exact: bool = False,
    numbers: Sequence[int] = (),
    person: Identity | None = None,
) -> list[Column]:
    """The columns for these prompts at this time.

    `exact` shows whole ids, and times instead of spans. `numbers`, which a live console gives to its
    prompts, are shown instead of ids. For `person` prompts that it may not answer are marked.
    """
    times = Times(at, exact)
    names: Sequence[object] = numbers or [p.prompt_id for p in prompts]
    if not (exact or numbers):
        short = handles(p.prompt_id for p in prompts)
        names = [short[p.prompt_id] for p in prompts]
    return [
        Column(
            "DEADLINE" if exact else "LEFT", [_deadline_cell(p, at, exact) for p in prompts], important=True
        ),
        Column("KIND", [p.kind for p in prompts], important=True, maximum=_KIND_WIDTH),
        Column("TITLE", [p.title for p in prompts], important=True, wide=True),
        Column("N" if numbers else "ID", names, important=True),
        Column(
            "ENDED", [times.age(p.resolution.at) if p.resolution else "" for p in prompts], informative=True
        ),
        Column(
            "BY",
            [_ended_by(p) for p in prompts],
            maximum=_NAME_WIDTH,
            informative=True,
        ),
        Column("FOR", [holder_of(p, person) for p in prompts], maximum=_NAME_WIDTH, informative=True),
        Column("VOTES", [short_progress(p, person) for p in prompts], informative=True),
        Column("GROUP-KEY", [p.group_key for p in prompts], maximum=_NAME_WIDTH, informative=True),
        Column("CLAIMED", [words.claim(p, at) for p in prompts], maximum=_NAME_WIDTH, informative=True),
        Column("ASKED" if exact else "AGE", [times.age(p.created_at) for p in prompts]),
        Column("FROM", [p.job_type for p in prompts], maximum=_NAME_WIDTH),
        Column("PRIO", [p.proto.content.priority or "" for p in prompts]),
    ]


def fit_screen(
    prompts: Sequence[PromptInfo],
    at: datetime,
    numbers: Sequence[int],
    size: tuple[int, int],
    *,
    person: Identity | None = None,
) -> list[str]:
    """The table of the prompts that fit a screen of this size (columns, lines), and how many more there are.

    A size of (0, 0) shows all of them.
    """
    width, height = size
    fits = max(height - _OTHER_LINES, _MIN_PROMPTS) if height else len(prompts)
    if fits >= len(prompts):
        return lines(prompt_columns(prompts, at, numbers=numbers, person=person), width)
    more = f"and {len(prompts) - fits} more; `list --all` shows them"
    shown = prompt_columns(prompts[:fits], at, numbers=numbers[:fits], person=person)
    return [*lines(shown, width), more]


def prompt_row(prompt: PromptInfo, at: datetime) -> list[object]:
    """One prompt for a program: deadline, kind, title, id, claimed by, asked at, job type, priority, state,
    job id, ended at, ended by. Times are in UTC; absent values are empty."""
    return [
        instant(prompt.expires_at),
        prompt.kind,
        prompt.title,
        prompt.prompt_id,
        words.claim(prompt, at),
        instant(prompt.created_at),
        prompt.job_type,
        prompt.proto.content.priority,
        state_word(prompt),
        prompt.job_id,
        *end_fields(prompt.resolution),
    ]


def end_fields(resolution: Resolution | None) -> list[object]:
    """When a prompt ended and who ended it, for a program; empty for an open one."""
    return [instant(resolution.at), resolution.actor] if resolution else ["", ""]


def state_word(prompt: PromptInfo) -> str:
    """The state as `inbox ls --state` names it; `answered by default` if the deadline's default was taken."""
    by_default = prompt.answered is not None and prompt.answered.by_default
    return "answered by default" if by_default else STATE_WORDS.get(prompt.state, prompt.state.lower())


def instant(moment: datetime | None) -> str:
    """A time in UTC, to the second, for programs; empty for None."""
    from datetime import UTC

    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if moment else ""


def time_left_words(prompt: PromptInfo, at: datetime) -> str:
    """The time left to answer an open prompt, or the state of one that has ended."""
    if prompt.is_open:
        return words.time_left(prompt, at)
    return state_word(prompt).removeprefix("answered ")


def _ended_by(prompt: PromptInfo) -> str:
    by_rule = prompt.answered is not None and prompt.answered.by_rule
    return f"{prompt.resolution.actor}{' (by rule)' * by_rule}" if prompt.resolution else ""


def _deadline_cell(prompt: PromptInfo, at: datetime, exact: bool) -> str:
    if exact and prompt.is_open and prompt.expires_at:
        return exact_time(prompt.expires_at)
    return time_left_words(prompt, at)
