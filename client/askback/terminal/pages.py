"""A prompt on the screen, page by page: what a person was shown of it, and what not."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from askback._text.text import columns, one_line
from askback.terminal import words
from askback.terminal.asking import pick
from askback.terminal.board import Row
from askback.terminal.sheet import write_sheet
from askback.terminal.terminal import Dialogue, Terminal

_SGR = re.compile(r"\x1b\[[0-9;]*m")
_MORE = {"": "page", "more": "page", "b": "back", "back": "back", "all": "all", "q": "stop", "quit": "stop"}
"""No `a`: it approves, at the question that may come next."""


async def show_prompt(
    terminal: Terminal,
    row: Row[Any],
    dialogue: Dialogue | None = None,
    *,
    full: bool = False,
    asking: bool = True,
    warnings: Sequence[str] = (),
) -> None:
    """Show a prompt as it is now, and keep in its row what was shown.

    On a terminal it comes by pages, all of it; where pages are not known, long texts are cut unless `full`.
    `asking`: the answer is asked for next, so that form and decisions are only named. `dialogue` asks for the
    next page, the terminal if not given. Raises EOFError, and what that raises.
    """
    revision = row.prompt.revision
    if not terminal.rows:
        unseen = write_sheet(
            terminal.paper, row.prompt, words.now(), full=full, asking=asking, warnings=warnings
        )
    else:
        drawing = io.StringIO()
        drawn = terminal.paper.like(drawing)
        unseen = write_sheet(drawn, row.prompt, words.now(), full=True, asking=asking, warnings=warnings)
        lines = drawing.getvalue().splitlines(keepends=True)
        left = await _paged(terminal, dialogue or terminal, lines, f"[{row.prompt.kind}] {row.prompt.title}")
        if left:
            unseen = (f"the last {left} of {len(lines)} lines", *unseen)
    row.seen, row.unseen = revision, unseen


async def _paged(terminal: Terminal, dialogue: Dialogue, lines: list[str], header: str) -> int:
    """Write the lines page by page, the header above each; how many of them were not shown."""
    starts, seen = [0], 0
    while True:
        first = starts[-1] == 0
        if not first:
            terminal.paper.line(one_line(header, terminal.columns), "title")
        end = _page_end(lines, starts[-1], terminal.rows - (1 if first else 2), terminal.columns)
        terminal.paper.raw("".join(lines[starts[-1] : end]))
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
            terminal.paper.raw("".join(lines[end:]))
            return 0


def _page_end(lines: list[str], start: int, rows: int, width: int) -> int:
    """Where the page ends that begins at `start`: at least one line on."""
    end, used = start, 0
    while end < len(lines):
        used += max(-(-columns(_SGR.sub("", lines[end].rstrip("\n"))) // width), 1)
        if used > rows and end > start:
            break
        end += 1
    return end
