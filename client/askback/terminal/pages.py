"""Shows a prompt page by page, and records which parts of it the person has not seen."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from askback._text.text import columns, one_line
from askback.terminal import words
from askback.terminal.prompt_list import Row
from askback.terminal.prompt_text import write_prompt
from askback.terminal.short_questions import pick
from askback.terminal.terminal import Dialogue, PersonTerminal

_SGR = re.compile(r"\x1b\[[0-9;]*m")
_MORE = {"": "page", "more": "page", "b": "back", "back": "back", "all": "all", "q": "stop", "quit": "stop"}
"""There is no `a` for `all`: the same key approves at the question that may come next."""


async def show_prompt(
    terminal: PersonTerminal,
    row: Row[Any],
    dialogue: Dialogue | None = None,
    *,
    full: bool = False,
    asking: bool = True,
    warnings: Sequence[str] = (),
) -> None:
    """Show a prompt as it is now, and record in its row what was shown.

    A terminal shows all of it, page by page. Without a known screen size long texts are cut unless `full`.
    With `asking` the answer is asked for next, so that form and decisions are only named. `dialogue`
    (default: the terminal) asks for the next page. Raises EOFError, and what the dialogue raises.
    """
    prompt = row.prompt
    if not terminal.rows:
        unseen = write_prompt(
            terminal.writer,
            prompt,
            words.now(),
            full=full,
            asking=asking,
            warnings=warnings,
            person=terminal.person,
        )
    else:
        drawing = io.StringIO()
        drawn = terminal.writer.like(drawing)
        unseen = write_prompt(
            drawn,
            prompt,
            words.now(),
            full=True,
            asking=asking,
            warnings=warnings,
            person=terminal.person,
        )
        lines = drawing.getvalue().splitlines(keepends=True)
        left = await _write_pages(terminal, dialogue or terminal, lines, f"[{prompt.kind}] {prompt.title}")
        if left:
            unseen = (f"the last {left} of {len(lines)} lines", *unseen)
    row.seen, row.unseen = prompt, unseen


async def _write_pages(terminal: PersonTerminal, dialogue: Dialogue, lines: list[str], header: str) -> int:
    """Write the lines page by page, with the header above each page. Return how many were not shown."""
    starts, seen = [0], 0
    while True:
        first = starts[-1] == 0
        if not first:
            terminal.writer.line(one_line(header, terminal.columns), "title")
        end = _page_end(lines, starts[-1], terminal.rows - (1 if first else 2), terminal.columns)
        terminal.writer.raw("".join(lines[starts[-1] : end]))
        seen = max(seen, end)
        if end == len(lines):
            return 0
        back = "" if first else " b: back,"
        question = f"-- {end}/{len(lines)} lines. Enter: more,{back} all: the rest, q: stop -- "
        what = await pick(dialogue, question, _MORE)
        if what == "page":
            starts.append(end)
        elif what == "back":
            starts = starts[:-1] or [0]
        elif what == "stop":
            return len(lines) - seen
        else:
            terminal.writer.raw("".join(lines[end:]))
            return 0


def _page_end(lines: list[str], start: int, rows: int, width: int) -> int:
    """The index after the last line of the page that begins at `start`; a page has at least one line."""
    end, used = start, 0
    while end < len(lines):
        used += max(-(-columns(_SGR.sub("", lines[end].rstrip("\n"))) // width), 1)
        if used > rows and end > start:
            break
        end += 1
    return end
