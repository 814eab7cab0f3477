"""Several values of one field, one on each line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from askback.terminal.fields import Bounds, Field, Kind
from askback.terminal.reading import read
from askback.terminal.terminal import Dialogue


def takes_lines(field: Field, text: str) -> bool:
    """Whether the line is one value of several, so that more lines may follow.

    A line with commas, a paste of several lines and JSON are all that is meant.
    """
    many = field.kind in (Kind.LIST, Kind.PAIRS) or (field.kind is Kind.MULTI and not field.choices)
    return many and not any(sign in text for sign in ",\n") and not text.strip().startswith(("[", "{"))


async def read_lines(dialogue: Dialogue, field: Field, first: str, indent: str) -> Any:
    """The values of this line and of those that follow, up to an empty one.

    Raises ValueError for a first line that does not fit, EOFError, and what the dialogue raises.
    """
    one = replace(field, bounds=Bounds(high=field.bounds.high))  # how few there may be counts at the end
    read(one, first)
    lines = [first]
    while True:
        text = await dialogue.ask(f"{indent}[Enter: that is all]> ")
        try:
            if not text.strip():
                return read(field, "\n".join(lines))
            read(one, "\n".join([*lines, text]))
        except ValueError as error:
            dialogue.writer.line(f"{indent}! {error}", "warning")
        else:
            lines.append(text)
