"""Parses values given as words: `amount=12.5 policy=goodwill address.city=Bonn tags:=["a, b"]`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from askback._model.prompts import PromptInfo
from askback.terminal.fields import flat
from askback.terminal.prompt_form import entries
from askback.terminal.value_parser import guess, read, read_json


def parse_assignments(
    prompt: PromptInfo, words: Iterable[str], given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The values of the words, merged over the `given` ones.

    The text of FIELD=TEXT is parsed as the field's type; a choice is named by its value, number or title.
    FIELD:=JSON gives the value itself. Raises ValueError for any other word, for a field that the form does
    not have, and for a value that does not fit.
    """
    form = {field.name: field for field in flat(entries(prompt))}
    free = list(form) == [""]
    values: dict[tuple[str, ...], Any] = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or not name:
            raise ValueError(f"{word!r} is not FIELD=VALUE")
        is_json = name.endswith(":") and name not in form
        name = name.removesuffix(":") if is_json else name
        if free:
            item = getattr(form[""], "item", None)  # the form is values by name: the field of one value
            reading = guess if item is None else partial(read, item)
            values[(name,)] = _convert(name, read_json if is_json else reading, text)
            continue
        field = form.get(name)
        if field is None:
            known = ", ".join(form) or "none: only a decision is asked for"
            raise ValueError(f"the form has no field {name!r}; its fields: {known}")
        values[field.path] = _convert(name, read_json, text) if is_json else _convert(name, read, field, text)
    return _merge(dict(given or {}), _nest(values))


def _convert(name: str, reading: Callable[..., Any], *given: Any) -> Any:
    try:
        return reading(*given)
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
