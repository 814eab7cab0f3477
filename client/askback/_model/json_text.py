"""JSON text that keeps every digit, in both directions.

Python's `json` reads `0.1234567890123456789` as a float and drops the last digits; pydantic does the same
even for a field of type Decimal. The SDK and the command line therefore read and write all JSON by this
module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pydantic_core import to_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")
_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64 - 1
"""The integers that the server accepts. A longer one is sent as a number with a fraction, `….0`."""
_LONG_RUN = re.compile(r"\d{19}")
_TEXT_OR_NUMBER = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?\d[\d.eE+-]*+')


class _Spelled(float):
    """A float that keeps its spelling: `12.50` equals 12.5, and converts to a Decimal with two places.

    pydantic builds a Decimal from `str(value)`.
    """

    text: str

    def __new__(cls, value: float, text: str) -> _Spelled:
        spelled = super().__new__(cls, value)
        spelled.text = text
        return spelled

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        return float, (float(self),)


def loads(text: str) -> Any:
    """Parse JSON text. Raises ValueError (for NaN and Infinity too), RecursionError.

    An integer becomes an int, also one of more than 64 bits that `dumps` wrote with a fraction. Any other
    number becomes a float if a float can hold all its digits, else a Decimal.
    """
    return json.loads(text, parse_float=_exact, parse_constant=_refuse)


def loads_spelled(text: str) -> Any:
    """Like `loads`, for values that will be written again or converted to a type: `12.50` keeps its zero."""
    return json.loads(text, parse_float=number, parse_constant=_refuse)


def number(text: str) -> float | Decimal | int:
    """Parse a decimal number: to a float (that may keep its spelling), a Decimal, or an int of more than 64
    bits."""
    found = _exact(text)
    if not isinstance(found, float):
        return found
    try:
        written = Decimal(text)
    except InvalidOperation:
        return found
    # pydantic reads 10.0 as Decimal("10").
    same = not found.is_integer() and written.as_tuple() == Decimal(repr(found)).as_tuple()
    return found if same else _Spelled(found, str(written))


def _exact(text: str) -> float | Decimal | int:
    if text.endswith(".0") and _is_long(text[:-2]):
        return int(text[:-2])
    value = float(text)
    if len(text) <= 16 and "e" not in text and "E" not in text:
        return value  # at most 15 digits, which a float always holds
    try:
        exact = Decimal(text)
    except InvalidOperation:  # an exponent of many digits
        return value
    return value if Decimal(repr(value)) == exact else exact


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def validate(adapter: TypeAdapter[T], text: str) -> T:
    """Convert JSON text to the adapter's type. Raises pydantic.ValidationError, a ValueError."""
    value = loads_spelled(text)
    return _fit_python(adapter, value) if _is_special(value) else adapter.validate_json(text)


def fit(adapter: TypeAdapter[T], value: Any) -> T:
    """Convert a value of `loads_spelled` to the adapter's type. Raises like `validate`."""
    return _fit_python(adapter, value) if _is_special(value) else adapter.validate_json(to_json(value))


def _fit_python(adapter: TypeAdapter[T], value: Any) -> T:
    # pydantic would read numbers in JSON text as floats, so give it Python objects. Not strict: a date is a
    # text in JSON, also for a strict model that accepts only dates from Python.
    return adapter.validate_python(value, strict=False)


def dumps(value: Any, *, spaced: bool = False) -> str:
    """Write a value as JSON text. Raises ValueError for a value that pydantic cannot serialise.

    A Decimal in a dict, list or tuple (or alone) becomes a number; in a model, the model decides. `spaced`
    puts a space after commas and colons, for people.
    """
    if spaced:
        return _spell(value, _for_people, ", ", ": ")
    return _spell(value, _compact, ",", ":") if _is_special(value) else _compact(value)


def _compact(value: Any) -> str:
    text = to_json(value).decode()
    return _TEXT_OR_NUMBER.sub(_widen, text) if _LONG_RUN.search(text) else text


def _widen(found: re.Match[str]) -> str:
    return f"{found[0]}.0" if _is_long(found[0]) else found[0]


def _is_long(digits: str) -> bool:
    """Whether the text is an integer that is too long for the server."""
    return (
        len(digits) >= 19
        and digits.removeprefix("-").isdecimal()
        and not _MIN_INTEGER <= int(digits) <= _MAX_INTEGER
    )


def _for_people(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return f"{text}.0" if _is_long(text) else text


def _spell(value: Any, leaf: Callable[[Any], str], comma: str, colon: str) -> str:
    if isinstance(value, _Spelled):
        return value.text
    if isinstance(value, Decimal):
        return _digits(value)
    if isinstance(value, Mapping):
        pairs = (
            f"{leaf(k) if isinstance(k, str) else _key(k)}{colon}{_spell(v, leaf, comma, colon)}"
            for k, v in value.items()
        )
        return "{" + comma.join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + comma.join(_spell(item, leaf, comma, colon) for item in value) + "]"
    return leaf(value)


def _key(key: Any) -> str:
    return to_json({key: None}).decode()[1:-6]


def _digits(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"{value} is not a JSON number")
    text = str(value)
    return f"{text}.0" if _is_long(text) else text


def _is_special(value: Any) -> bool:
    """Whether the value contains a number that a float cannot hold."""
    if isinstance(value, dict):
        return any(map(_is_special, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_is_special, value))
    if isinstance(value, int):
        return not _MIN_INTEGER <= value <= _MAX_INTEGER
    return isinstance(value, Decimal | _Spelled)
