"""What was typed, as the value of a field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from itertools import count
from math import isinf
from typing import Any

from askback.json_text import dumps, loads_spelled
from askback.json_text import number as spelled_number
from askback.terminal.fields import Choice, Field, Kind

_INTEGER = re.compile(r"[+-]?[0-9]{1,100}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_AROUND_COMMA = re.compile(r"\s*,\s*")
_WORDS = {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}


def read(field: Field, text: str) -> Any:
    """The value that the text stands for. Raises ValueError, saying what would be right.

    Type, bounds and choices are judged here, so that a slip costs no round trip. Patterns are left to
    the server: a hostile one could keep this process busy for ever.
    """
    if field.kind is not Kind.TEXT:
        text = text.strip()
    match field.kind:
        case Kind.BOOLEAN:
            if (value := _WORDS.get(text.lower())) is None:
                raise ValueError("must be yes or no")
            return value
        case Kind.SINGLE:
            return _chosen(field, text)
        case Kind.MULTI:
            return _several(field, text)
        case Kind.TEXT:
            return _within(field, text, len(text), "characters")
        case Kind.INTEGER:
            if not _INTEGER.fullmatch(text):
                raise ValueError(_should(field, "a whole number"))
            return _within(field, int(text), int(text))
        case Kind.NUMBER:
            if not _NUMBER.fullmatch(text):
                raise ValueError(_should(field, "a number, such as 12.5"))
            number = int(text) if _INTEGER.fullmatch(text) else spelled_number(text)
            if isinf(float(number)):
                raise ValueError("is too large")
            return _within(field, number, number)
        case Kind.DATE:
            if not _is_date(text):
                raise ValueError(_should(field, "a date written YYYY-MM-DD"))
            return _within(field, text, text)
        case Kind.JSON:
            value = read_json(text)
            if not field.path and not isinstance(value, dict):
                raise ValueError('must be a JSON object, such as {"amount": 12.5}')
            return value


def fits(field: Field, value: Any) -> bool:
    """Whether a value may stand in the field, as far as that can be told here: type, choices, bounds."""
    try:
        match field.kind:
            case Kind.BOOLEAN:
                return isinstance(value, bool)
            case Kind.SINGLE:
                return _is_offered(field, value)
            case Kind.MULTI:
                return isinstance(value, list) and all(_is_offered(field, item) for item in value)
            case Kind.TEXT:
                return isinstance(value, str) and field.bounds.hold(len(value))
            case Kind.DATE:
                return isinstance(value, str) and _is_date(value) and field.bounds.hold(value)
            case Kind.INTEGER:
                whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
                return whole and not isinstance(value, bool) and field.bounds.hold(value)
            case Kind.NUMBER:
                number = isinstance(value, int | float) and not isinstance(value, bool)
                return number and field.bounds.hold(value)
            case Kind.JSON:
                return True
    except TypeError:
        return True  # bounds of another type: the server knows better


def _is_offered(field: Field, value: Any) -> bool:
    known = any(_same(choice.value, value) for choice in field.choices)
    return known or (field.allow_other and isinstance(value, str) and bool(value))


def read_json(text: str) -> Any:
    """A JSON value. Raises ValueError."""
    try:
        return loads_spelled(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def shown(field: Field, value: Any) -> str:
    """A value as people see it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field.kind is Kind.SINGLE:
        return _label(field, value)
    if field.kind is Kind.MULTI and isinstance(value, list):
        return ", ".join(_label(field, item) for item in value) or "none"
    return value if isinstance(value, str) else dumps(value, spaced=True)


def nested(values: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """The values by path as the object that is sent."""
    result: dict[str, Any] = {}
    for path, value in values.items():
        if not path:
            result.update(value)
            continue
        node = result
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = value
    return result


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


def _label(field: Field, value: Any) -> str:
    for choice in field.choices:
        if _same(choice.value, value):
            return choice.label
    return value if isinstance(value, str) else dumps(value, spaced=True)


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _chosen(field: Field, text: str) -> Any:
    """What is offered under this name; else the text itself where any other text will do."""
    try:
        return _offered(field, text)
    except ValueError:
        if field.allow_other and text:
            return text
        raise


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
    named = [choice.value for choice in field.choices if _comma(choice.label).casefold() == wanted]
    if len(named) == 1:
        return named[0]
    offered = ", ".join(marks(field.choices)) if len(field.choices) > 1 else "1"
    raise ValueError(f"{text!r} is not offered; type one of {offered}, or its name")


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


def _several(field: Field, text: str) -> list[Any]:
    """One choice, choices with commas between, or a JSON array, which is never ambiguous.

    The whole text is tried first, so that a choice with a comma in it is one. Text that is no choice stays
    one value, commas included.
    """
    if text.startswith("["):
        items = read_json(text)
        if not isinstance(items, list):
            raise ValueError("must be a JSON array")
        for item in items:
            if not _is_offered(field, item):
                raise ValueError(f"{dumps(item, spaced=True)} is not offered")
    else:
        items = _split(field, text)
    if any(_same(one, other) for i, one in enumerate(items) for other in items[:i]):
        raise ValueError("must not have the same choice twice")
    least = 1 if field.required and field.bounds.low is None and field.choices else None
    if least and not items:
        raise ValueError("must have at least one choice")
    return _within(field, items, len(items), "choices")  # type: ignore[no-any-return]


def _split(field: Field, text: str) -> list[Any]:
    """The values of a text without brackets. Raises ValueError for one that may be read in two ways."""
    if not text:
        return []
    if not field.choices:
        return [part for piece in text.split(",") if (part := piece.strip())]
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


def _within(field: Field, value: Any, measure: Any, unit: str = "") -> Any:
    try:
        fits = field.bounds.hold(measure)
    except TypeError:
        fits = True  # bounds of another type: the server knows better
    if not fits:
        raise ValueError(f"must {'have' if unit else 'be'} {field.bounds}{' ' + unit if unit else ''}")
    return value


def _should(field: Field, what: str) -> str:
    bounds = str(field.bounds)
    return f"must be {what}" + (f", {bounds}" if bounds else "")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
