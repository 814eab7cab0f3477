"""JSON text that keeps every digit, in both directions.

Python's `json` reads `0.1234567890123456789` as a float and drops the last digits; pydantic does the same
even for a field of type Decimal. Everything that the SDK and the command line read or write goes through
here instead.
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
"""The integers that the server takes. A longer one is sent as a number with a fraction, `….0`."""
_LONG_RUN = re.compile(r"\d{19}")
_TEXT_OR_NUMBER = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?\d[\d.eE+-]*+')


class _Spelled(float):
    """A float that knows how it was written: `12.50` equals 12.5, and is a Decimal with two places.

    pydantic makes a Decimal of `str(value)`.
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
    """The value of JSON text. Raises ValueError (for NaN and Infinity too), RecursionError.

    An integer is an int, one of more than 64 bits also as `dumps` writes it. Any other number is a float
    where a float has all its digits, else a Decimal.
    """
    return json.loads(text, parse_float=_exact, parse_constant=_refuse)


def loads_spelled(text: str) -> Any:
    """As `loads`, for values that are to be written again or fitted to a type: `12.50` keeps its zero."""
    return json.loads(text, parse_float=number, parse_constant=_refuse)


def number(text: str) -> float | Decimal | int:
    """The number that a decimal text stands for: a float (which may know its spelling), a Decimal, or an int
    of more than 64 bits."""
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
        return value  # at most 15 digits, which a float always has
    try:
        exact = Decimal(text)
    except InvalidOperation:  # an exponent of many digits
        return value
    return value if Decimal(repr(value)) == exact else exact


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def validate(adapter: TypeAdapter[T], text: str) -> T:
    """The JSON text as the adapter's type. Raises pydantic.ValidationError, a ValueError."""
    value = loads_spelled(text)
    return _fitted(adapter, value) if _is_special(value) else adapter.validate_json(text)


def fit(adapter: TypeAdapter[T], value: Any) -> T:
    """A value of `loads_spelled` as the adapter's type. Raises pydantic.ValidationError, a ValueError."""
    return _fitted(adapter, value) if _is_special(value) else adapter.validate_json(to_json(value))


def _fitted(adapter: TypeAdapter[T], value: Any) -> T:
    # pydantic reads numbers of JSON text as floats, so it gets objects. Not strict: in JSON a date is a text,
    # for a model too that takes only dates from Python.
    return adapter.validate_python(value, strict=False)


def dumps(value: Any, *, spaced: bool = False) -> str:
    """The value as JSON text; whatever pydantic can write is allowed. Raises ValueError for anything else.

    A Decimal in a dict, list or tuple (or alone) is a number; in a model it is what the model makes of it.
    `spaced` puts a space after commas and colons, for people.
    """
    if spaced:
        return _spelled(value, _for_people, ", ", ": ")
    return _spelled(value, _compact, ",", ":") if _is_special(value) else _compact(value)


def _compact(value: Any) -> str:
    text = to_json(value).decode()
    return _TEXT_OR_NUMBER.sub(_widened, text) if _LONG_RUN.search(text) else text


def _widened(found: re.Match[str]) -> str:
    return f"{found[0]}.0" if _is_long(found[0]) else found[0]


def _is_long(digits: str) -> bool:
    """Whether the text is an integer that the server does not take."""
    return (
        len(digits) >= 19
        and digits.removeprefix("-").isdecimal()
        and not _MIN_INTEGER <= int(digits) <= _MAX_INTEGER
    )


def _for_people(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return f"{text}.0" if _is_long(text) else text


def _spelled(value: Any, leaf: Callable[[Any], str], comma: str, colon: str) -> str:
    if isinstance(value, _Spelled):
        return value.text
    if isinstance(value, Decimal):
        return _digits(value)
    if isinstance(value, Mapping):
        pairs = (
            f"{leaf(k) if isinstance(k, str) else _key(k)}{colon}{_spelled(v, leaf, comma, colon)}"
            for k, v in value.items()
        )
        return "{" + comma.join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + comma.join(_spelled(item, leaf, comma, colon) for item in value) + "]"
    return leaf(value)


def _key(key: Any) -> str:
    return to_json({key: None}).decode()[1:-6]


def _digits(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"{value} is not a JSON number")
    text = str(value)
    return f"{text}.0" if _is_long(text) else text


def _is_special(value: Any) -> bool:
    """Whether there is a number in it that a float cannot carry."""
    if isinstance(value, dict):
        return any(map(_is_special, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_is_special, value))
    if isinstance(value, int):
        return not _MIN_INTEGER <= value <= _MAX_INTEGER
    return isinstance(value, Decimal | _Spelled)
