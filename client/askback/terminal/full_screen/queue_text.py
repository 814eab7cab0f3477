"""The rows of the queue as text. Priority and time left come first: a long title cuts what is behind it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from askback._model.identity import Identity
from askback._text.text import columns, cut, one_line
from askback.terminal import words
from askback.terminal.delegation_words import holder_of
from askback.terminal.prompt_list import Row
from askback.terminal.vote_words import short_progress

_PRIORITY_COLUMNS = 4
_TIME_COLUMNS = 7
_KIND_FROM = 60
"""Columns from which on there is room for the kind."""


def queue_line(
    row: Row[Any], at: datetime, width: int, *, selected: bool, person: Identity | None = None
) -> str:
    """One row: a mark if it is selected, priority, time left, and what is asked or how it ended."""
    prompt = row.prompt
    mark = ">" if selected else " "
    if row.closing is not None:
        return cut(f"{mark} {'ended':<{_PRIORITY_COLUMNS + _TIME_COLUMNS}} {_title(row, width)}", width)
    priority = f"{prompt.proto.content.priority:+d}" if prompt.proto.content.priority else ""
    left = words.time_left(prompt, at)
    facts = [f"by {who}"] if (who := words.claim(prompt, at)) else []
    if holder := holder_of(prompt, person):
        facts.append(f"for {holder}")
    if progress := short_progress(prompt, person):
        facts.append(progress)
    if prompt.proto.HasField("unattended_time"):
        facts.append("unattended")
    more = f" ({', '.join(facts)})" if facts else ""
    text = f"{mark} {priority:<{_PRIORITY_COLUMNS}}{left:<{_TIME_COLUMNS}} "
    room = max(width - columns(text) - columns(more), 10)
    return cut(f"{text}{cut(_title(row, width), room)}{more}", width)


def _title(row: Row[Any], width: int) -> str:
    kind = f"[{row.prompt.kind}] " if width >= _KIND_FROM else ""
    return one_line(f"{kind}{row.prompt.title}")
