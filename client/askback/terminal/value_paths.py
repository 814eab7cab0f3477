"""Finds and sets the values of a form: in an object by name, in a list by index.

A `holder` is the object or list that has a value under a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from askback.terminal.fields import NOTHING, Entry, Group, Items, Variants
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
    if isinstance(entry, Group) and not entry.sequence and isinstance(value, dict):
        inner = next((item for item in entry.fields if item.key == path[0]), None)
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
