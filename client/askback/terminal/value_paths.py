"""Finds and sets the values of a form: in an object by name, in a list by index.

A `holder` is the object or list that has a value under a key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from askback.terminal.fields import NOTHING, Entry, Group, Items, Variants, is_object
from askback.terminal.value_parser import fits


def copy_of(value: Any) -> Any:
    """A deep copy of a JSON value; numbers keep their spelling."""
    if isinstance(value, dict):
        return {name: copy_of(item) for name, item in value.items()}
    return [copy_of(item) for item in value] if isinstance(value, list) else value


def value_at(holder: Any, key: str | int, default: Any = NOTHING) -> Any:
    """The value under the key; the default if there is none."""
    try:
        return holder[key]
    except (KeyError, IndexError):
        return default


def put(holder: Any, key: str | int, value: Any) -> None:
    """Set the value under the key; the index after the last item of a list appends it."""
    if isinstance(holder, list) and key == len(holder):
        holder.append(value)
    else:
        holder[key] = value


def drop(holder: Any, key: str | int) -> None:
    """Remove the value under the key, if there is one."""
    if value_at(holder, key) is not NOTHING:
        del holder[key]


def entry_at(entry: Entry, holder: Any, key: str | int, path: Sequence[str]) -> tuple[Entry, Any, str | int]:
    """The innermost entry that contains the path, with the holder and the key of its value."""
    value = value_at(holder, key)
    if isinstance(entry, Variants):
        variant = next((one for one in entry.variants if fits(one, value)), None)
        return (entry, holder, key) if variant is None else entry_at(variant, holder, key, path)
    if not path:
        return entry, holder, key
    if is_object(entry) and isinstance(value, dict):
        inner = next((item for item in entry.fields_for(value) if item.key == path[0]), None)
        if inner is not None:
            return entry_at(inner, value, inner.key, path[1:])
    if isinstance(value, list) and path[0].isdecimal() and int(path[0]) < len(value):
        place = int(path[0])
        if isinstance(entry, Items):
            return entry_at(entry.item, value, place, path[1:])
        if isinstance(entry, Group):
            return entry_at(entry.fields[place], value, place, path[1:])
    if isinstance(entry, Items) and isinstance(value, dict) and path[0] in value:
        return entry_at(entry.item, value, path[0], path[1:])
    return entry, holder, key


def shown_entries(entry: Entry | None, value: Any) -> Iterator[Entry]:
    """The entries that FIELD=VALUE can name and that are shown for a value."""
    if is_object(entry):
        for item in entry.fields_for(value):
            yield from shown_entries(item, value_at(value if isinstance(value, dict) else {}, item.key))
    elif entry is not None:
        yield entry


def objects_in(entry: Entry, value: Any) -> Iterator[tuple[Group, dict[str, Any]]]:
    """The objects with fields in a value, the outer ones first; without those of hidden fields."""
    if isinstance(entry, Variants):
        for variant in entry.variants:
            if fits(variant, value):
                yield from objects_in(variant, value)
                break
    elif is_object(entry) and isinstance(value, dict):
        yield entry, value
        for item in entry.fields_for(value):
            yield from objects_in(item, value_at(value, item.key))
    elif isinstance(entry, Group) and isinstance(value, list):
        for item, inner in zip(entry.fields, value, strict=False):
            yield from objects_in(item, inner)
    elif isinstance(entry, Items) and isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from objects_in(entry.item, inner)


def without_hidden(entry: Entry, value: Any) -> Any:
    """A copy of the value without the values of fields that conditions hide, in the order of the form."""
    found = copy_of(value)
    for group, values in objects_in(entry, found):
        shown = [name for name, _ in group.fixed] + [item.key for item in group.fields_for(values)]
        known = {name: values[name] for name in shown if name in values}
        hidden = {item.key for item in group.fields}
        further = {name: item for name, item in values.items() if name not in hidden}
        values.clear()
        values.update(known | further)
    return found


def next_field(group: Group, values: dict[str, Any], asked: Sequence[Entry]) -> Entry | None:
    """The next field of an object to ask for.

    First come the fields that no condition adds, as they are without conditions: a condition cannot be judged
    before its fields were asked. Then come those that the conditions add, or change so that their value no
    longer fits.
    """
    shown, keys = group.fields_for(values), {entry.key for entry in asked}
    names = {entry.key for entry in shown}
    for entry in group.fields:
        if not entry.conditional and entry.key in names - keys:
            return entry
    for entry in shown:
        value = value_at(values, entry.key)
        fine = not entry.required if value is NOTHING else fits(entry, value)
        if entry not in asked and not (entry.key in keys and fine):
            return entry
    return None
