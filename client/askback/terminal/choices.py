"""Choices of a field: the text to type for each, and the choice that a text means."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from askback._model.json_text import dumps
from askback.terminal.fields import Choice, Field

_AROUND_COMMA = re.compile(r"\s*,\s*")
_MAX_NAMED = 12
"""The maximum number of choices that an error message lists."""


def is_offered(field: Field, value: Any) -> bool:
    """Whether the value is one of the field's choices, or a text where any text is allowed."""
    known = any(equal_json(choice.value, value) for choice in field.choices)
    return known or (field.allow_other and isinstance(value, str) and bool(value))


def choice_of(field: Field, text: str) -> Any:
    """The value of the choice that the text means; the text itself where any text is allowed.

    Raises ValueError if there is no such choice.
    """
    try:
        return _find_choice(field, text)
    except ValueError:
        if field.allow_other and text:
            return text
        raise


def label_of(field: Field, value: Any) -> str:
    """The label of a value; the value as text if it is not one of the field's choices."""
    for choice in field.choices:
        if equal_json(choice.value, value):
            return choice.label
    return _spelling(value)


def equal_json(one: Any, other: Any) -> bool:
    """Whether two values are equal in JSON, where true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def one_of(choices: Sequence[Choice]) -> str:
    """The choices in words: `one of: staging, production`."""
    named = [choice.label for choice in choices[:_MAX_NAMED]]
    if more := len(choices) - len(named):
        named.append(f"{more} more")
    return f"one of: {', '.join(named)}" if len(named) != 1 else named[0]


def marks(choices: Sequence[Choice]) -> list[str]:
    """The mark to type for each choice: its number, or `#1` and the like if values look like numbers."""
    taken = {text.casefold() for choice in choices for text in (str(choice.value), choice.label)}
    for form in ("{}", "#{}", "({})"):
        found = [form.format(n) for n in range(1, len(choices) + 1)]
        if not taken & set(found):
            return found
    return next(found for found in _unusual_marks(len(choices)) if not taken & set(found))


def _unusual_marks(size: int) -> Iterator[list[str]]:
    for width in count(2):
        yield [f"{'#' * width}{n}" for n in range(1, size + 1)]


def _find_choice(field: Field, text: str) -> Any:
    """The choice with this mark, value or title, in this order. Raises ValueError."""
    for mark, choice in zip(marks(field.choices), field.choices, strict=True):
        if text == mark:
            return choice.value
    for form in (str, _normalise_commas):
        for choice in field.choices:
            if form(text) == form(_spelling(choice.value)):
                return choice.value
    wanted = _normalise_commas(text).casefold()
    named = [
        choice.value
        for choice in field.choices
        if wanted in (_normalise_commas(name).casefold() for name in _names(choice))
    ]
    if len(named) == 1:
        return named[0]
    raise ValueError(f"{text!r} is not offered; it must be {one_of(field.choices)}")


def _is_name(field: Field, text: str) -> bool:
    try:
        _find_choice(field, text)
    except ValueError:
        return False
    return True


def _names(choice: Choice) -> tuple[str, str]:
    return _spelling(choice.value), choice.label


def _spelling(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value, spaced=True)


def _normalise_commas(text: str) -> str:
    """The text with one space after each comma, so that choices match however many were typed."""
    return _AROUND_COMMA.sub(", ", text)


def split_choices(field: Field, text: str) -> list[Any]:
    """The choices in a text that is not JSON. Raises ValueError for an unknown or an ambiguous text."""
    if not text:
        return []
    with suppress(ValueError):
        return [_find_choice(field, text)]
    pieces = [part for piece in text.split(",") if (part := piece.strip())]
    readings = _readings(field, pieces)
    if len(readings) == 1:
        return readings[0]
    if readings:
        raise ValueError(f"{text!r} may be read in two ways: write a JSON array, such as {_array(field)}")
    if not field.allow_other:
        unknown = next((piece for piece in pieces if not _is_name(field, piece)), text)
        _find_choice(field, unknown)  # raises an error that lists the choices
        raise ValueError(f"{text!r} is not offered")
    known = 0
    while known < len(pieces) and _is_name(field, pieces[known]):
        known += 1
    if any(_is_name(field, piece) for piece in pieces[known:]):
        raise ValueError(f"choices and other text are mixed: write a JSON array, such as {_array(field)}")
    return [*(_find_choice(field, piece) for piece in pieces[:known]), ", ".join(pieces[known:])]


def _readings(field: Field, pieces: Sequence[str]) -> list[list[Any]]:
    """The ways to read the pieces as choices whose names may contain commas; at most two ways."""
    longest = max((text.count(",") for choice in field.choices for text in _names(choice)), default=0) + 1
    after: list[list[list[Any]]] = [[[]]]  # the readings of the last 0, 1, 2, … pieces
    for start in range(len(pieces) - 1, -1, -1):
        found: list[list[Any]] = []
        for size in range(1, min(longest, len(pieces) - start) + 1):
            rest, head = after[len(pieces) - start - size], ", ".join(pieces[start : start + size])
            if rest and _is_name(field, head):
                found += [[_find_choice(field, head), *reading] for reading in rest]
        after.append(found[:2])
    return after[-1]


def _array(field: Field) -> str:
    return json.dumps([choice.value for choice in field.choices[:2]], ensure_ascii=False)
