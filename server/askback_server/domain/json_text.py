"""Validation of JSON and plain text: refuses values that a database or another language cannot hold.

Callers store the original text and not a re-serialised one, so that key order and 64-bit integers survive.
The parsed value only serves to validate it.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Json = Any
"""A JSON value. `Any`, because a recursive type would need a cast wherever a value is read by its schema."""
JsonObject = dict[str, Json]

MAX_KEY_CHARS = 1024
MAX_NUMBER_CHARS = 400
MIN_INTEGER = -(2**63)
MAX_INTEGER = 2**64 - 1
MAX_VIOLATIONS = 20
"""Violations are sent in gRPC trailers, which clients limit to 8 KiB."""
_MAX_DESCRIPTION_CHARS = 300
_MAX_FIELD_CHARS = 200

# Possessive quantifiers, and the closing quote is optional, so that no input makes it backtrack.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")
_SUSPECT_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


@dataclass(frozen=True, slots=True)
class Violation:
    """A field of a request, and what is wrong with it in words for the caller."""

    field: str
    description: str


class BadFields(ValueError):
    """One or more fields of a request are invalid."""

    def __init__(self, violations: Iterable[Violation]) -> None:
        self.violations: tuple[Violation, ...] = cap_violations(violations)
        super().__init__("; ".join(f"{v.field} {v.description}" for v in self.violations))

    @classmethod
    def one(cls, field: str, description: str) -> "BadFields":
        """The error of one field."""
        return cls((Violation(field, description),))


class _Refused(Exception):
    """Raised by the hooks of the JSON decoder, which do not know the field."""


def cap_violations(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """At most MAX_VIOLATIONS of them, shortened for a trailer; the last one counts those left out."""
    found = tuple(violations)
    kept = tuple(_shorten(v) for v in found[:MAX_VIOLATIONS])
    if len(found) > MAX_VIOLATIONS:
        more = len(found) - MAX_VIOLATIONS + 1
        kept = (*kept[:-1], Violation(kept[-1].field, f"is wrong, and so are {more - 1} more fields"))
    return kept


def _shorten(violation: Violation) -> Violation:
    field, description = violation.field, violation.description
    if len(field) <= _MAX_FIELD_CHARS and len(description) <= _MAX_DESCRIPTION_CHARS:
        return violation
    return Violation(_cut(field, _MAX_FIELD_CHARS), _cut(description, _MAX_DESCRIPTION_CHARS))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def quote(text: str) -> str:
    """A name from untrusted input for a message: quoted, shortened, and encodable as UTF-8."""
    return json.dumps(_cut(text, 64), ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def pointer(*parts: str | int) -> str:
    """A JSON pointer (RFC 6901), with its leading slash."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def is_plain(text: str, max_bytes: int) -> bool:
    """A fast check: True if `check_text` would pass. Printable texts have no NUL and no surrogates."""
    return len(text) * 4 <= max_bytes and text.isprintable()


def check_text(text: str, *, field: str, max_bytes: int) -> None:
    """Raise BadFields for NUL, a lone surrogate, or more than `max_bytes` of UTF-8."""
    _check_encoding(text, field, max_bytes)
    if "\0" in text:
        raise BadFields.one(field, "must not contain the character NUL (U+0000)")


def parse_json(text: str, *, field: str, max_bytes: int, max_depth: int = 64) -> Json:
    """Parse an RFC 8259 document. Raises BadFields with the reason."""
    _check_encoding(text, field, max_bytes)
    if text.count("[") + text.count("{") > max_depth and _deeper_than(text, max_depth):
        raise BadFields.one(field, f"is nested deeper than {max_depth} levels")
    try:
        value = _DECODER.decode(text)
    except _Refused as refused:
        raise BadFields.one(field, str(refused)) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadFields.one(field, f"is not valid JSON: {error.msg} ({where})") from None
    except RecursionError:
        raise BadFields.one(field, "is nested too deeply") from None
    # The decoder refuses a raw NUL, as every control character; only an escape can contain one.
    if "\\u" in text and _SUSPECT_ESCAPE.search(text):
        _check_strings(value, field)
    return value


def _check_encoding(text: str, field: str, max_bytes: int) -> None:
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise BadFields.one(field, "must not contain a lone surrogate") from None
    if size > max_bytes:
        raise BadFields.one(field, f"is {size} bytes long; at most {max_bytes} bytes are allowed")


def _deeper_than(text: str, max_depth: int) -> bool:
    depth = 0
    for bracket in _BRACKETS.finditer(_STRING.sub("", text)):
        if bracket[0] in "[{":
            depth += 1
            if depth > max_depth:
                return True
        else:
            depth -= 1
    return False


def _check_strings(value: Json, field: str) -> None:
    """Check all decoded strings of a value: a surrogate escape is valid in a pair and invalid alone."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            check_text(item, field=field, max_bytes=len(item) * 4)
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            pending.extend(item)
            pending.extend(item.values())


def _integer(digits: str) -> int:
    if len(digits) > 20 or not MIN_INTEGER <= (number := int(digits)) <= MAX_INTEGER:
        raise _Refused("has an integer outside the range -2^63 to 2^64-1")
    return number


def _float(digits: str) -> float:
    if len(digits) > MAX_NUMBER_CHARS:
        raise _Refused(f"has a number of more than {MAX_NUMBER_CHARS} characters")
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise _Refused("has a number that is too large for a double")
    return number


def _constant(name: str) -> Json:
    raise _Refused(f"is not valid JSON: {name} is not a number")


def _object(pairs: list[tuple[str, Json]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Refused(f"has the key {quote(key)} twice in one object")
            seen.add(key)
    if members and max(map(len, members)) > MAX_KEY_CHARS:
        raise _Refused(f"has a key of more than {MAX_KEY_CHARS} characters")
    return members


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
