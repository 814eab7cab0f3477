"""Parses the text that was typed for an entry."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import date
from math import isinf
from typing import Any

from askback._model.json_text import dumps, loads_spelled
from askback._model.json_text import number as spelled_number
from askback.terminal.choices import choice_of, equal_json, is_offered, split_choices
from askback.terminal.fields import Entry, Field, Group, Items, Kind, Variants
from askback.terminal.formats import format_of

_INTEGER = re.compile(r"[+-]?[0-9]{1,100}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BETWEEN = re.compile(r"[,\n]")
_NEXT_PAIR = re.compile(r"\n|,(?=\s*[^\s=,]+\s*=)")
_WORDS = {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}


def read(entry: Entry, text: str) -> Any:
    """The value of the text. Raises ValueError, with a message that says what is expected.

    Checks type, bounds and choices, so that a typing error costs no round trip. Patterns are left to the
    server: matching a hostile one could block this process. The text for an entry that is not a Field is
    JSON.
    """
    if isinstance(entry, Variants):
        return _read_variant(entry, text)
    if not isinstance(entry, Field):
        return _read_json_of(text, list if _is_list(entry) else dict)
    if entry.kind is not Kind.TEXT:
        text = text.strip()
    match entry.kind:
        case Kind.BOOLEAN:
            if (value := _WORDS.get(text.lower())) is None:
                raise ValueError("must be yes or no")
            return value
        case Kind.SINGLE:
            return choice_of(entry, text)
        case Kind.MULTI:
            return _read_choices(entry, text)
        case Kind.TEXT:
            if entry.format and (known := format_of(entry.format)) is not None:
                text = known.read(text.strip())
            return _check_bounds(entry, text, len(text), "characters")
        case Kind.INTEGER:
            if not _INTEGER.fullmatch(text):
                raise ValueError(_expectation(entry, "a whole number"))
            return _check_bounds(entry, int(text), int(text))
        case Kind.NUMBER:
            if not _NUMBER.fullmatch(text):
                raise ValueError(_expectation(entry, "a number, such as 12.5"))
            number = int(text) if _INTEGER.fullmatch(text) else spelled_number(text)
            if isinf(float(number)):
                raise ValueError("is too large")
            return _check_bounds(entry, number, number)
        case Kind.DATE:
            if not _is_date(text):
                written = _DATE.fullmatch(text) is not None
                right = _expectation(entry, "a date written YYYY-MM-DD")
                raise ValueError(f"{text!r} is not in the calendar; it {right}" if written else right)
            return _check_bounds(entry, text, text)
        case Kind.LIST:
            return _read_list(entry, text)
        case Kind.PAIRS:
            return _read_pairs(entry, text)
        case Kind.JSON:
            return _read_json_of(text, None if entry.path else dict)


def fits(entry: Entry, value: Any) -> bool:
    """Whether a value fits the entry by type, choices and bounds; the server checks the rest."""
    try:
        return _fits(entry, value)
    except TypeError:
        return True  # the bounds have another type: leave the check to the server


def _fits(entry: Entry, value: Any) -> bool:
    if value is None and entry.nullable:
        return True
    match entry:
        case Field():
            return _field_fits(entry, value)
        case Variants():
            return any(fits(variant, value) for variant in entry.variants)
        case Items():
            if not isinstance(value, dict if entry.keyed else list) or not entry.bounds.hold(len(value)):
                return False
            items = value.values() if isinstance(value, dict) else value
            return all(fits(entry.item, item) for item in items)
        case Group(sequence=True):
            return (
                isinstance(value, list)
                and len(value) == len(entry.fields)
                and all(map(fits, entry.fields, value))
            )
        case Group():
            if not isinstance(value, dict) or any(not equal_json(value.get(k), v) for k, v in entry.fixed):
                return False
            return all(
                fits(item, value[item.key]) if item.key in value else not item.required
                for item in entry.fields_for(value)
            )


def _field_fits(field: Field, value: Any) -> bool:
    match field.kind:
        case Kind.BOOLEAN:
            return isinstance(value, bool)
        case Kind.SINGLE:
            return is_offered(field, value)
        case Kind.MULTI:
            return isinstance(value, list) and all(is_offered(field, item) for item in value)
        case Kind.TEXT:
            return isinstance(value, str) and field.bounds.hold(len(value))
        case Kind.DATE:
            return isinstance(value, str) and _is_date(value) and field.bounds.hold(value)
        case Kind.INTEGER:
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return whole and not isinstance(value, bool) and field.bounds.hold(value)
        case Kind.NUMBER:
            if field.format == "decimal" and isinstance(value, str) and _NUMBER.fullmatch(value):
                value = spelled_number(value)  # pydantic writes the default of a Decimal as text
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return number and field.bounds.hold(value)
        case Kind.LIST:
            return isinstance(value, list) and all(_item_fits(field, item) for item in value)
        case Kind.PAIRS:
            return isinstance(value, dict) and all(_item_fits(field, item) for item in value.values())
        case Kind.JSON:
            return True


def _item_fits(field: Field, value: Any) -> bool:
    return field.item is None or fits(field.item, value)


def read_json(text: str) -> Any:
    """A JSON value. Raises ValueError."""
    try:
        return loads_spelled(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def guess(text: str) -> Any:
    """The value of a text without an entry: parsed if it is JSON, else the text itself."""
    try:
        return read_json(text)
    except ValueError:
        return text


def _is_list(entry: Entry) -> bool:
    return (isinstance(entry, Items) and not entry.keyed) or (isinstance(entry, Group) and entry.sequence)


def _read_json_of(text: str, wanted: type | None) -> Any:
    value = read_json(text)
    if wanted is not None and not isinstance(value, wanted):
        raise ValueError(
            'must be a JSON object, such as {"amount": 12.5}'
            if wanted is dict
            else 'must be a JSON array, such as ["a", "b"]'
        )
    return value


def _read_variant(entry: Variants, text: str) -> Any:
    """The text as JSON if that fits the union, else as a value of the first variant that accepts it."""
    with suppress(ValueError):
        if fits(entry, value := read_json(text)):
            return value
    for variant in entry.variants:
        with suppress(ValueError):
            return read(variant, text)
    raise ValueError(f"must be one of: {', '.join(variant.title for variant in entry.variants)}; as JSON")


def _read_choices(field: Field, text: str) -> Any:
    """One choice, several choices separated by commas, or a JSON array, which is never ambiguous.

    The whole text is tried first, because a choice may contain a comma. Other text is a single value,
    commas included.
    """
    if text.startswith("["):
        items = _read_json_of(text, list)
        for item in items:
            if not is_offered(field, item):
                raise ValueError(f"{dumps(item, spaced=True)} is not offered")
    elif not field.choices:
        items = [part for piece in _BETWEEN.split(text) if (part := piece.strip())]
    else:
        items = split_choices(field, text)
    if any(equal_json(one, other) for i, one in enumerate(items) for other in items[:i]):
        raise ValueError("must not have the same choice twice")
    minimum = 1 if field.required and field.bounds.low is None and field.choices else None
    if minimum and not items:
        raise ValueError("must have at least one choice")
    return _check_count(field, items)


def _read_list(field: Field, text: str) -> Any:
    """Values separated by commas or line ends, or a JSON array."""
    assert field.item is not None
    if text.startswith("["):
        items = _read_json_of(text, list)
        for item in items:
            if not fits(field.item, item):
                raise ValueError(f"{dumps(item, spaced=True)} does not fit")
    else:
        pieces = [part for piece in _BETWEEN.split(text) if (part := piece.strip())]
        items = [_read_named(piece, field.item, piece) for piece in pieces]
    if field.unique and any(equal_json(one, other) for i, one in enumerate(items) for other in items[:i]):
        raise ValueError("must not have the same value twice")
    return _check_count(field, items)


def _read_pairs(field: Field, text: str) -> Any:
    """NAME=VALUE separated by commas or line ends, or a JSON object."""
    found: dict[str, Any] = {}
    if text.startswith("{") or (text.startswith("[") and "=" not in text):
        found = _read_json_of(text, dict)
        for name, value in found.items():
            if not _item_fits(field, value):
                raise ValueError(f"{name!r} does not fit: {dumps(value, spaced=True)}")
    else:
        for piece in filter(None, (piece.strip(" \t,") for piece in _NEXT_PAIR.split(text))):
            name, sign, value = (part.strip() for part in piece.partition("="))
            if not sign or not name:
                raise ValueError(f"{piece!r} is not NAME=VALUE")
            name = _resolve_name(field, name)
            if name in found:
                raise ValueError(f"{name!r} must not be there twice")
            found[name] = guess(value) if field.item is None else _read_named(name, field.item, value)
    for name in found:
        if field.choices and not is_offered(field, name):
            raise _unknown_name(field, name)
    return _check_count(field, found)


def _resolve_name(field: Field, text: str) -> str:
    """The name for a text, which may also be the name's title. Raises ValueError for an unknown name."""
    try:
        return str(choice_of(field, text)) if field.choices else text
    except ValueError:
        raise _unknown_name(field, text) from None


def _unknown_name(field: Field, name: str) -> ValueError:
    return ValueError(f"{name!r} is not a name here; there are: {', '.join(c.label for c in field.choices)}")


def _read_named(name: str, field: Field, text: str) -> Any:
    try:
        return read(field, text)
    except ValueError as error:
        message = str(error)
        raise ValueError(message if message.startswith(repr(name)) else f"{name!r} {message}") from None


def _check_count(field: Field, values: Any) -> Any:
    return _check_bounds(
        field, values, len(values), "choices" if field.choices and field.kind is Kind.MULTI else "values"
    )


def _check_bounds(field: Field, value: Any, measure: Any, unit: str = "") -> Any:
    try:
        fits = field.bounds.hold(measure)
    except TypeError:
        fits = True  # the bounds have another type: leave the check to the server
    if not fits:
        raise ValueError(f"must {'have' if unit else 'be'} {field.bounds}{' ' + unit if unit else ''}")
    return value


def _expectation(field: Field, what: str) -> str:
    bounds = str(field.bounds)
    return f"must be {what}" + (f", {bounds}" if bounds else "")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
