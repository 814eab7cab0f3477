"""Asks a person for the values of a form, entry by entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from askback.terminal.draft import SavedInput, write_value
from askback.terminal.field_question import ask_value
from askback.terminal.fields import NOTHING, Choice, Entry, Field, Group, Items, Kind, Variants, is_object
from askback.terminal.hints import default_of, shorten
from askback.terminal.items_editor import ItemsEditor, fitting_items
from askback.terminal.prompt_text import write_entry
from askback.terminal.short_questions import KEEP, NO_UNLESS_YES, pick
from askback.terminal.terminal import Dialogue
from askback.terminal.value_parser import fits
from askback.terminal.value_paths import (
    copy_of,
    drop,
    entry_at,
    next_field,
    objects_in,
    put,
    value_at,
    without_hidden,
)
from askback.terminal.value_text import text_for

_INDENT = "     "


class FormFiller:
    """Fills in one form; the values saved from an earlier try are offered again.

    Each value is stored in the saved input as soon as it is typed, so that an aborted dialogue loses nothing.
    """

    def __init__(self, form: Entry | None, dialogue: Dialogue, saved: SavedInput) -> None:
        self._form = form
        self._dialogue = dialogue
        self._saved = saved
        self._depth = 0

    @property
    def _indent(self) -> str:
        """The indent of the current depth: nested entries are further right."""
        return _INDENT + "  " * self._depth

    @contextmanager
    def _within(self) -> Iterator[None]:
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    async def ask_all(self) -> dict[str, Any]:
        """Ask for every entry and return the values. Raises EOFError, and what the dialogue raises."""
        if is_object(self._form):
            await self._ask_fields(self._form, self._saved.root.setdefault("values", {}))
        elif self._form is not None:
            await self.ask(self._form, self._saved.root, "values")
        return self.values()

    def values(self) -> dict[str, Any]:
        """A copy of the values typed so far, without those of fields that conditions hide."""
        values = self._saved.root.get("values", {})
        found: dict[str, Any] = values if self._form is None else without_hidden(self._form, values)
        return found

    def has_entry(self, path: Sequence[str]) -> bool:
        """Whether the form has an entry for this path below the values."""
        return self._find_entry(path) is not None

    async def ask_again(self, paths: Sequence[Sequence[str]]) -> None:
        """Ask again for the entries at the refused paths, once each, without offering the refused values.

        Fields that the new values show are asked too.
        """
        values = self._saved.root.get("values")
        objects = [] if self._form is None else list(objects_in(self._form, values))
        before = [(group, one, group.fields_for(one)) for group, one in objects]
        asked: list[tuple[int, str | int]] = []  # their holders stay in `refused`
        complete: list[int] = []
        refused = [(path, found) for path in paths if (found := self._find_entry(path)) is not None]
        for path, (_, holder, key) in refused:
            found = self._find_entry(path)  # an earlier correction may have hidden it
            if found is None or found[1] is not holder or found[2] != key or (id(holder), key) in asked:
                continue
            asked.append((id(holder), key))
            entry = found[0]
            if isinstance(entry, Field):
                await self._ask_field(entry, holder, key, refused=value_at(holder, key))
            else:
                await self._ask_wanted(entry, holder, key)
            complete += (id(one) for _, one in objects_in(entry, value_at(holder, key)))
        for group, one, shown in before:
            if id(one) not in complete:
                await self._ask_fields(group, one, shown)

    def _find_entry(self, path: Sequence[str]) -> tuple[Entry, Any, str | int] | None:
        """The innermost entry that contains the path, with the holder and the key of its value, or None."""
        if self._form is None:
            return None
        self._saved.root.setdefault("values", {})
        found = entry_at(self._form, self._saved.root, "values", path)
        return None if is_object(self._form) and found[0] is self._form else found

    async def _ask_fields(self, group: Group, values: dict[str, Any], asked: Sequence[Entry] = ()) -> None:
        """Ask for the fields of an object that are shown, until the values show no other fields.

        A field that was asked is asked again if a condition has changed it and its value no longer fits.
        """
        known = list(asked)
        while (entry := next_field(group, values, known)) is not None:
            known.append(entry)
            names = [one.key for one in group.fields_for(values)]
            numbered = group is self._form and len(group.fields) > 1
            place = f"{names.index(entry.key) + 1}/{len(names)} " if numbered else ""
            await self.ask(entry, values, entry.key, place)

    async def ask(self, entry: Entry, holder: Any, key: str | int, place: str = "") -> None:
        """Ask for one entry and set its value in the holder, or remove it if the entry is left out."""
        match entry:
            case Field():
                await self._ask_field(entry, holder, key, place)
            case Group():
                await self._ask_group(entry, holder, key, place)
            case Items():
                await self._ask_items(entry, holder, key, place)
            case Variants():
                await self._ask_variants(entry, holder, key, place)

    async def _ask_field(
        self, item: Field, holder: Any, key: str | int, place: str = "", refused: Any = NOTHING
    ) -> None:
        """Ask for one field until the text that is typed fits."""
        preset = value_at(holder, key, item.default)
        if preset is not NOTHING and (not fits(item, preset) or preset == refused):
            preset = NOTHING  # the server would refuse it again
        self._dialogue.start_question()
        write_entry(self._dialogue.writer, item, place or self._indent)
        value = await ask_value(self._dialogue, item, preset, self._indent)
        if value is NOTHING:
            drop(holder, key)
        else:
            put(holder, key, value)

    async def _ask_group(
        self, group: Group, holder: Any, key: str | int, place: str, *, again: bool = False
    ) -> None:
        """Ask for the entries of an object or a list of fixed length; if it is optional, ask whether to."""
        write_entry(self._dialogue.writer, group, place or self._indent)
        was = value_at(holder, key)
        if not again and not await self._is_wanted(group, holder, key, was):
            return
        if group.sequence:
            places: list[Any] = list(was) if isinstance(was, list) else []
            put(holder, key, places)
            with self._within():
                for number, item in enumerate(group.fields):
                    await self.ask(item, places, number)
            return
        if not isinstance(was, dict):
            was = copy_of(group.default) if isinstance(group.default, dict) else {}
        put(holder, key, was)
        was.update(group.fixed)
        with self._within():
            await self._ask_fields(group, was)

    async def _is_wanted(self, entry: Entry, holder: Any, key: str | int, was: Any) -> bool:
        """Whether the person fills in the group. If not, its final value is set in the holder."""
        if was is not NOTHING and was is not None and fits(entry, was):
            write_value(self._dialogue.writer, f"{self._indent}so far", shorten(text_for(entry, was)), "")
            choice = await pick(self._dialogue, f"{self._indent}Keep it? [y]es, [e]dit it, [n]o: ", KEEP)
            if choice == "keep":
                return False
            if choice == "edit" or (entry.required and not entry.nullable):
                return True
        elif entry.required and not entry.nullable:
            return True
        else:
            if offered := default_of(entry):
                write_value(self._dialogue.writer, f"{self._indent}if left out", offered, "")
            if await pick(self._dialogue, f"{self._indent}Fill it in? [y/N] ", NO_UNLESS_YES):
                return True
        if entry.required:
            put(holder, key, None)
        else:
            drop(holder, key)
        return False

    async def _ask_variants(self, entry: Variants, holder: Any, key: str | int, place: str) -> None:
        """Ask for the kind of value, then for the value."""
        was = value_at(holder, key, entry.default)
        now = next((variant.title for variant in entry.variants if fits(variant, was)), NOTHING)
        menu = Field(
            path=entry.path,
            kind=Kind.SINGLE,
            title=entry.title,
            help=entry.help,
            required=entry.required,
            nullable=entry.nullable,
            choices=tuple(Choice(variant.title) for variant in entry.variants),
            faults=entry.faults,
        )
        self._dialogue.start_question()
        write_entry(self._dialogue.writer, menu, place or self._indent)
        chosen = await ask_value(self._dialogue, menu, now, self._indent)
        if chosen is NOTHING:
            drop(holder, key)
        elif chosen is None:
            put(holder, key, None)
        else:
            variant = next(variant for variant in entry.variants if variant.title == chosen)
            if chosen == now:
                put(holder, key, copy_of(was))
            elif value_at(holder, key) is not NOTHING:
                put(holder, key, None)  # the old value is of another kind: do not offer it
            untitled = replace(variant, title="") if isinstance(variant, Field | Group) else variant
            await self._ask_wanted(untitled, holder, key)

    async def _ask_items(self, entry: Items, holder: Any, key: str | int, place: str) -> None:
        """Let the person change the items. No items are left out, if they may be."""
        write_entry(self._dialogue.writer, entry, place or self._indent)
        items = fitting_items(entry, value_at(holder, key, entry.default))
        put(holder, key, items)
        await ItemsEditor(entry, items, self._dialogue, self._indent, self._ask_wanted).edit()
        if not items and not entry.required:
            drop(holder, key)

    async def _ask_wanted(self, entry: Entry, holder: Any, key: str | int) -> None:
        """Ask for one entry, and for a group without the question whether to fill it in."""
        if isinstance(entry, Group):
            await self._ask_group(entry, holder, key, "", again=True)
        else:
            await self.ask(entry, holder, key)
