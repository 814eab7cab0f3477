"""Lets a person add, change and remove the items of a list, or of an object by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias

from askback.terminal.field_question import ask_value
from askback.terminal.fields import NOTHING, Entry, Field, Items, Kind
from askback.terminal.hints import shorten
from askback.terminal.prompt_text import write_entry
from askback.terminal.terminal import Dialogue
from askback.terminal.value_parser import fits
from askback.terminal.value_paths import copy_of
from askback.terminal.value_text import text_for

AskItem: TypeAlias = Callable[[Entry, Any, str | int], Awaitable[None]]
"""Asks for one item and sets it in its holder under the key."""

_VERBS = {
    "": "done",
    "done": "done",
    "a": "add",
    "add": "add",
    "e": "edit",
    "edit": "edit",
    "r": "remove",
    "remove": "remove",
}


def fitting_items(entry: Items, value: Any) -> Any:
    """A copy of the items that fit, as a list or by name; empty for any other value."""
    if entry.keyed:
        named = value.items() if isinstance(value, dict) else ()
        return {name: copy_of(item) for name, item in named if fits(entry.item, item)}
    return [copy_of(item) for item in value if fits(entry.item, item)] if isinstance(value, list) else []


class ItemsEditor:
    """Changes `items` in place, so that an aborted dialogue loses nothing."""

    def __init__(self, entry: Items, items: Any, dialogue: Dialogue, indent: str, ask_item: AskItem) -> None:
        self._entry = entry
        self._items = items
        self._dialogue = dialogue
        self._indent = indent
        self._ask_item = ask_item

    async def edit(self) -> None:
        """Take commands until the person is done. Raises EOFError, and what the dialogue raises."""
        entry, items = self._entry, self._items
        if not items and entry.required and (entry.bounds.low or 0) > 0:
            await self._add()
        while True:
            self._write_items()
            which = "add, edit N, remove N; Enter: done" if items else "add; Enter: none"
            verb, number = _command(await self._dialogue.choose(f"{self._indent}{which}> "))
            if verb == "done":
                if entry.bounds.hold(len(items)) or not (items or entry.required):
                    return
                self._warn(f"must have {entry.bounds} values")
            elif verb == "add" and entry.bounds.high is not None and len(items) >= entry.bounds.high:
                self._warn(f"must have {entry.bounds} values")
            elif verb == "add":
                await self._add()
            elif verb in ("edit", "remove") and 1 <= number <= len(items):
                where = list(items)[number - 1] if entry.keyed else number - 1
                if verb == "remove":
                    del items[where]
                else:
                    await self._ask(where, number)
            else:
                self._warn("type add, edit 1, remove 1, or Enter")

    def _warn(self, text: str) -> None:
        self._dialogue.writer.line(f"{self._indent}! {text}", "warning")

    def _write_items(self) -> None:
        named = self._items.items() if self._entry.keyed else enumerate(self._items, 1)
        for number, (name, item) in enumerate(named, 1):
            label = f"{name}: " if self._entry.keyed else ""
            text = shorten(text_for(self._entry.item, item))
            self._dialogue.writer.line(f"{self._indent}  {number}) {label}{text}")

    async def _add(self) -> None:
        """Ask for one more item; for keyed items ask for its name first."""
        number = len(self._items) + 1
        await self._ask(await self._ask_name() if self._entry.keyed else number - 1, number)

    async def _ask_name(self) -> str:
        names = self._entry.names
        kind = Kind.SINGLE if names else Kind.TEXT
        asked = Field(path=(), kind=kind, title=f"{self._entry.title}: name", required=True, choices=names)
        while True:
            self._dialogue.start_question()
            write_entry(self._dialogue.writer, asked, self._indent)
            name = str(await ask_value(self._dialogue, asked, NOTHING, self._indent)).strip()
            if name not in self._items:
                return name
            self._warn(f"{name!r} is there already; edit it instead")

    async def _ask(self, where: str | int, number: int) -> None:
        title = str(where) if self._entry.keyed else f"{self._entry.item.title} {number}"
        await self._ask_item(
            replace(self._entry.item, title=title, help="", required=True), self._items, where
        )


def _command(text: str) -> tuple[str, int]:
    """The command for the list of items, and the number of the item; an empty command if unknown."""
    word, _, rest = text.strip().casefold().partition(" ")
    verb, rest = _VERBS.get(word, ""), rest.strip()
    if not rest:
        return (verb, 1) if verb in ("done", "add") else ("", 0)
    return (verb, int(rest)) if rest.isdecimal() and len(rest) < 6 and verb in ("edit", "remove") else ("", 0)
