"""Choices: how each is typed, and which one was meant."""

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
_MOST_NAMED = 12
"""How many choices an error message names at most."""


def is_offered(field: Field, value: Any) -> bool:
    """Whether the value is one of the field's, or any other text will do."""
    known = any(same(choice.value, value) for choice in field.choices)
    return known or (field.allow_other and isinstance(value, str) and bool(value))


def choice_of(field: Field, text: str) -> Any:
    """What is offered under this name; else the text itself if any other will do. Raises ValueError."""
    try:
        return _offered(field, text)
    except ValueError:
        if field.allow_other and text:
            return text
        raise


def label_of(field: Field, value: Any) -> str:
    """A value as people see it among the field's choices."""
    for choice in field.choices:
        if same(choice.value, value):
            return choice.label
    return _written(value)


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def one_of(choices: Sequence[Choice]) -> str:
    """The choices in words: `one of: staging, production`."""
    named = [choice.label for choice in choices[:_MOST_NAMED]]
    if more := len(choices) - len(named):
        named.append(f"{more} more")
    return f"one of: {', '.join(named)}" if len(named) != 1 else named[0]


def marks(choices: Sequence[Choice]) -> list[str]:
    """What to type for each choice: its number, or something else where values look like numbers."""
    taken = {text.casefold() for choice in choices for text in (str(choice.value), choice.label)}
    for form in ("{}", "#{}", "({})"):
        found = [form.format(n) for n in range(1, len(choices) + 1)]
        if not taken & set(found):
            return found
    return next(found for found in _odd(len(choices)) if not taken & set(found))


def _odd(size: int) -> Iterator[list[str]]:
    for width in count(2):
        yield [f"{'#' * width}{n}" for n in range(1, size + 1)]


def _offered(field: Field, text: str) -> Any:
    """By mark, value or title, in this order. Raises ValueError."""
    for mark, choice in zip(marks(field.choices), field.choices, strict=True):
        if text == mark:
            return choice.value
    for same in (str, _comma):
        for choice in field.choices:
            if same(text) == same(_written(choice.value)):
                return choice.value
    wanted = _comma(text).casefold()
    named = [
        choice.value
        for choice in field.choices
        if wanted in (_comma(name).casefold() for name in _names(choice))
    ]
    if len(named) == 1:
        return named[0]
    raise ValueError(f"{text!r} is not offered; it must be {one_of(field.choices)}")


def _is_name(field: Field, text: str) -> bool:
    try:
        _offered(field, text)
    except ValueError:
        return False
    return True


def _names(choice: Choice) -> tuple[str, str]:
    return _written(choice.value), choice.label


def _written(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value, spaced=True)


def _comma(text: str) -> str:
    """The text with one space after each comma: how many there are is not what tells choices apart."""
    return _AROUND_COMMA.sub(", ", text)


def split_choices(field: Field, text: str) -> list[Any]:
    """The values of a text without brackets. Raises ValueError for one that may be read in two ways."""
    if not text:
        return []
    with suppress(ValueError):
        return [_offered(field, text)]
    pieces = [part for piece in text.split(",") if (part := piece.strip())]
    readings = _readings(field, pieces)
    if len(readings) == 1:
        return readings[0]
    if readings:
        raise ValueError(f"{text!r} may be read in two ways: write a JSON array, such as {_array(field)}")
    if not field.allow_other:
        unknown = next((piece for piece in pieces if not _is_name(field, piece)), text)
        _offered(field, unknown)  # says what is offered
        raise ValueError(f"{text!r} is not offered")
    known = 0
    while known < len(pieces) and _is_name(field, pieces[known]):
        known += 1
    if any(_is_name(field, piece) for piece in pieces[known:]):
        raise ValueError(f"choices and other text are mixed: write a JSON array, such as {_array(field)}")
    return [*(_offered(field, piece) for piece in pieces[:known]), ", ".join(pieces[known:])]


def _readings(field: Field, pieces: Sequence[str]) -> list[list[Any]]:
    """The ways to read the pieces as choices, some of which have commas in their names; two at most."""
    longest = max((text.count(",") for choice in field.choices for text in _names(choice)), default=0) + 1
    after: list[list[list[Any]]] = [[[]]]  # the readings of the last 0, 1, 2, … pieces
    for start in range(len(pieces) - 1, -1, -1):
        found: list[list[Any]] = []
        for size in range(1, min(longest, len(pieces) - start) + 1):
            rest, head = after[len(pieces) - start - size], ", ".join(pieces[start : start + size])
            if rest and _is_name(field, head):
                found += [[_offered(field, head), *reading] for reading in rest]
        after.append(found[:2])
    return after[-1]


def _array(field: Field) -> str:
    return json.dumps([choice.value for choice in field.choices[:2]], ensure_ascii=False)
