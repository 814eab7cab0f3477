"""Asks a person for the value of one field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from askback.terminal.draft import write_value
from askback.terminal.fields import NOTHING, Bounds, Field, Kind
from askback.terminal.hints import shorten
from askback.terminal.terminal import Dialogue
from askback.terminal.value_parser import read
from askback.terminal.value_paths import copy_of
from askback.terminal.value_text import text_for


async def ask_value(dialogue: Dialogue, field: Field, preset: Any, indent: str) -> Any:
    """Ask for a field that is on the screen already, until the text that is typed fits.

    `preset` is what Enter takes; NOTHING for no preset. Returns NOTHING if the field is left out.
    Raises EOFError, and what the dialogue raises.
    """
    question = _question(dialogue, field, preset, indent)
    while True:
        if field.multiline:
            text = await dialogue.ask_text(question, preset if isinstance(preset, str) else "")
        else:
            text = await dialogue.ask(question, secret=field.secret)
        if not text.strip():
            if preset is not NOTHING and not field.multiline:
                return copy_of(preset)
            if not field.required:
                return NOTHING
            if field.nullable:
                return None
            dialogue.writer.line(f"{indent}! must be given", "warning")
            continue
        if text.strip() == "-" and preset is not NOTHING and not field.required:
            return NOTHING
        try:
            if _takes_lines(field, text):
                return await _read_lines(dialogue, field, text, indent)
            return "" if field.kind is Kind.TEXT and text == '""' else read(field, text)
        except ValueError as error:
            dialogue.writer.wrap(f"{indent}! {error}", "warning", f"{indent}  ")


def _question(dialogue: Dialogue, field: Field, preset: Any, indent: str) -> str:
    """The question, which says what Enter does. A long preset is written in full above it."""
    if preset is not NOTHING:
        offered = text_for(field, preset)
        if shorten(offered) != offered:
            write_value(dialogue.writer, f"{indent}Enter takes", offered, "")
        clear = "" if field.required else ", - for none"
        return f"{indent}[Enter: {shorten(offered) or 'empty'}{clear}]> "
    return f"{indent}[Enter: none]> " if not field.required or field.nullable else f"{indent}> "


def _takes_lines(field: Field, text: str) -> bool:
    """Whether the text is the first of several values, so that more lines may follow.

    Text with commas, a paste of several lines and JSON hold all values already.
    """
    many = field.kind in (Kind.LIST, Kind.PAIRS) or (field.kind is Kind.MULTI and not field.choices)
    return many and not any(sign in text for sign in ",\n") and not text.strip().startswith(("[", "{"))


async def _read_lines(dialogue: Dialogue, field: Field, first: str, indent: str) -> Any:
    """Read more lines up to an empty one; the values of all of them.

    Raises ValueError for a first line that does not fit, EOFError, and what the dialogue raises.
    """
    one = replace(field, bounds=Bounds(high=field.bounds.high))  # the minimum is checked at the end
    read(one, first)
    lines = [first]
    while True:
        text = await dialogue.ask(f"{indent}[Enter: that is all]> ")
        try:
            if not text.strip():
                return read(field, "\n".join(lines))
            read(one, "\n".join([*lines, text]))
        except ValueError as error:
            dialogue.writer.wrap(f"{indent}! {error}", "warning", f"{indent}  ")
        else:
            lines.append(text)
