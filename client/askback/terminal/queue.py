"""The queue as a table: how long is left, what kind, and the title come first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from askback._model.enums import PromptState
from askback._model.prompts import PromptInfo
from askback._text.handle import handles
from askback._text.spans import exact_time
from askback._text.table import Column, lines
from askback.terminal import words

STATE_WORDS = {
    PromptState.PENDING: "open",
    PromptState.ANSWERED: "answered",
    PromptState.EXPIRED: "expired",
    PromptState.CANCELLED: "withdrawn",
    PromptState.SUPERSEDED: "superseded",
}
"""What people call the states of a prompt."""
_KIND = 12
_NAME = 16
"""So wide a kind and a name may be."""
_AROUND = 5
"""Lines of a screen beside the prompts: how many are open, the names, how many more, a note, the input."""
_LEAST = 5
"""So many prompts are shown on the smallest screen."""


def queue(
    prompts: Sequence[PromptInfo],
    at: datetime,
    *,
    exact: bool = False,
    numbers: Sequence[int] = (),
) -> list[Column]:
    """The columns for these prompts at this time.

    With `exact` whole ids, and times in place of spans. `numbers` are shown in place of ids: those that a
    live console gave to its prompts.
    """
    names: Sequence[object] = numbers or [p.prompt_id for p in prompts]
    if not (exact or numbers):
        short = handles(p.prompt_id for p in prompts)
        names = [short[p.prompt_id] for p in prompts]
    return [
        Column("DEADLINE" if exact else "LEFT", [_left(p, at, exact) for p in prompts], kept=True),
        Column("KIND", [p.kind for p in prompts], kept=True, most=_KIND),
        Column("TITLE", [p.title for p in prompts], kept=True, wide=True),
        Column("N" if numbers else "ID", names, kept=True),
        Column("CLAIMED", [words.claim(p, at) for p in prompts], most=_NAME, telling=True),
        Column("ASKED" if exact else "AGE", [_asked(p, at, exact) for p in prompts]),
        Column("FROM", [p.job_type for p in prompts], most=_NAME),
        Column("PRIO", [p.proto.content.priority or "" for p in prompts]),
    ]


def screen(
    prompts: Sequence[PromptInfo], at: datetime, numbers: Sequence[int], size: tuple[int, int]
) -> list[str]:
    """What fits a screen of so many columns and lines, the first of the prompts, and how many there are more.

    A size of (0, 0) has room for everything.
    """
    width, height = size
    fits = max(height - _AROUND, _LEAST) if height else len(prompts)
    if fits >= len(prompts):
        return lines(queue(prompts, at, numbers=numbers), width)
    more = f"and {len(prompts) - fits} more; `list --all` shows them"
    return [*lines(queue(prompts[:fits], at, numbers=numbers[:fits]), width), more]


def row(prompt: PromptInfo, at: datetime) -> list[object]:
    """One prompt for a program: deadline, kind, title, id, claimed by, asked at, job type, priority, state,
    job id. Times are UTC; what there is not is empty."""
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
    ]


def state_word(prompt: PromptInfo) -> str:
    """Its state as `inbox ls --state` names it; `answered by default` where a deadline gave the answer."""
    by_default = prompt.answered is not None and prompt.answered.by_default
    return "answered by default" if by_default else STATE_WORDS.get(prompt.state, prompt.state.lower())


def instant(moment: datetime | None) -> str:
    """A time as programs read it, in UTC to the second; empty for None."""
    from datetime import UTC

    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if moment else ""


def left_words(prompt: PromptInfo, at: datetime) -> str:
    """How much time is left, or how it ended."""
    if prompt.is_open:
        return words.left(prompt, at)
    return state_word(prompt).removeprefix("answered ")


def _left(prompt: PromptInfo, at: datetime, exact: bool) -> str:
    if exact and prompt.is_open and prompt.expires_at:
        return exact_time(prompt.expires_at)
    return left_words(prompt, at)


def _asked(prompt: PromptInfo, at: datetime, exact: bool) -> str:
    if exact and prompt.created_at:
        return exact_time(prompt.created_at)
    return words.age(prompt, at)
