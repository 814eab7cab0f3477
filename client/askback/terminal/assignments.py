"""Parses values given as words: `amount=12.5 policy=goodwill address.city=Bonn tags:=["a, b"]`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from askback._model.prompts import PromptInfo
from askback.terminal.fields import Entry, flat
from askback.terminal.prompt_form import form_of
from askback.terminal.value_parser import guess, read, read_json
from askback.terminal.value_paths import shown_entries


def parse_assignments(
    prompt: PromptInfo, words: Iterable[str], given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The values of the words, merged over the `given` ones.

    The text of FIELD=TEXT is parsed as the field's type; a choice is named by its value, number or title.
    FIELD:=JSON gives the value itself. Raises ValueError for any other word, for a field that the form does
    not have, and for a value that does not fit.
    """
    form, words = form_of(prompt), list(words)
    known = {entry.name: entry for entry in flat(form)}
    rough: dict[tuple[str, ...], Any] = {}
    for word in words:
        with suppress(ValueError):
            rough.update([_assign(known, word)])
    # Conditions may give a field another type than the list of all fields has.
    shown = shown_entries(form, _merge(dict(given or {}), _nest(rough)))
    known |= {entry.name: entry for entry in shown}
    return _merge(dict(given or {}), _nest(dict(_assign(known, word) for word in words)))


def _assign(known: Mapping[str, Entry], word: str) -> tuple[tuple[str, ...], Any]:
    """The path and the value that one word gives."""
    name, sign, text = word.partition("=")
    if not sign or not name:
        raise ValueError(f"{word!r} is not FIELD=VALUE")
    is_json = name.endswith(":") and name not in known
    name = name.removesuffix(":") if is_json else name
    if list(known) == [""]:
        item = getattr(known[""], "item", None)  # the form is values by name: the field of one value
        reading = guess if item is None else partial(read, item)
        return (name,), _convert(name, read_json if is_json else reading, text)
    field = known.get(name)
    if field is None:
        names = ", ".join(known) or "none: only a decision is asked for"
        raise ValueError(f"the form has no field {name!r}; its fields: {names}")
    return field.path, _convert(name, read_json if is_json else partial(read, field), text)


def _convert(name: str, reading: Callable[[str], Any], text: str) -> Any:
    try:
        return reading(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _nest(values: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """The values by path, as one object."""
    result: dict[str, Any] = {}
    for path, value in values.items():
        node = result
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = value
    return result


def _merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in above.items():
        inner = below.get(name)
        below[name] = (
            _merge(dict(inner), value) if isinstance(inner, dict) and isinstance(value, dict) else value
        )
    return below
