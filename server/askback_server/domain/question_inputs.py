"""The input types of questions. Each has three methods:

    faults    the violations of the question itself
    schema    the JSON Schema of its values
    problem   the violation of one value, as words that follow the field's name; None if the value is valid

`schema` and `problem` must agree: a test compares them on generated questions.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, TypeGuard

from askback_server.domain.choice_inputs import MultiInput, SingleInput
from askback_server.domain.input_rules import (
    Fault,
    FormLimits,
    bound_faults,
    count_faults,
    count_phrase,
    is_outside,
    range_phrase,
    text_faults,
    without_none,
)
from askback_server.domain.json_schema import text_pattern
from askback_server.domain.json_text import JsonObject

_INT64 = (-(2**63), 2**63 - 1)


@dataclass(frozen=True, slots=True)
class BooleanInput:
    """Yes or no."""

    oneof: ClassVar[str] = "boolean"
    default: bool | None = None

    def faults(self, limits: FormLimits) -> Iterator[Fault]:
        return iter(())

    def schema(self, required: bool) -> JsonObject:
        return {"type": "boolean"} | without_none(default=self.default)

    def problem(self, value: object, required: bool) -> str | None:
        return None if isinstance(value, bool) else "must be true or false"


@dataclass(frozen=True, slots=True)
class TextInput:
    """A text; lengths are in characters. A required question without `min_length` needs at least one."""

    oneof: ClassVar[str] = "text"
    default: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str = ""
    multiline: bool = False

    def faults(self, limits: FormLimits) -> Iterator[Fault]:
        yield from count_faults(self.min_length, self.max_length, "min_length", "max_length")
        yield from text_faults(self.pattern, "pattern", limits.max_pattern_chars * 4)
        if len(self.pattern) > limits.max_pattern_chars:
            yield ("pattern", f"must not be longer than {limits.max_pattern_chars} characters")
        elif self.pattern and text_pattern(self.pattern) is None:
            yield (
                "pattern",
                "is not a regular expression of the linear kind (RE2: no look-around), or too large",
            )

    def schema(self, required: bool) -> JsonObject:
        bounds = without_none(minLength=self._minimum(required), maxLength=self.max_length)
        rest = without_none(pattern=self.pattern or None, default=self.default)
        return {"type": "string"} | bounds | rest

    def problem(self, value: object, required: bool) -> str | None:
        if not isinstance(value, str):
            return "must be text"
        minimum = self._minimum(required)
        if is_outside(len(value), minimum, self.max_length):
            return "must have " + count_phrase(minimum, self.max_length, "character")
        if self.pattern:
            matcher = text_pattern(self.pattern)
            if matcher is None or not matcher.is_valid(value):
                return f"must match the pattern {self.pattern}"
        return None

    def _minimum(self, required: bool) -> int | None:
        return 1 if self.min_length is None and required else self.min_length


@dataclass(frozen=True, slots=True)
class IntegerInput:
    """A signed 64-bit integer. As in JSON Schema, 3.0 is an integer."""

    oneof: ClassVar[str] = "integer"
    default: int | None = None
    minimum: int | None = None
    maximum: int | None = None

    def faults(self, limits: FormLimits) -> Iterator[Fault]:
        return bound_faults(self.minimum, self.maximum, "minimum", "maximum")

    def schema(self, required: bool) -> JsonObject:
        bounds = without_none(minimum=self.minimum, maximum=self.maximum)
        return {"type": "integer", "format": "int64"} | bounds | without_none(default=self.default)

    def problem(self, value: object, required: bool) -> str | None:
        if not _is_number(value) or not (isinstance(value, int) or value.is_integer()):
            return "must be an integer" + range_phrase(self.minimum, self.maximum)
        if is_outside(value, self.minimum, self.maximum):
            return "must be an integer" + range_phrase(self.minimum, self.maximum)
        return "must be an integer of 64 bits" if is_outside(value, *_INT64) else None


@dataclass(frozen=True, slots=True)
class NumberInput:
    """Any finite number."""

    oneof: ClassVar[str] = "number"
    default: float | None = None
    minimum: float | None = None
    maximum: float | None = None

    def faults(self, limits: FormLimits) -> Iterator[Fault]:
        for name in ("default", "minimum", "maximum"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                yield ("default_value" if name == "default" else name, "must be a finite number")
                return
        yield from bound_faults(self.minimum, self.maximum, "minimum", "maximum")

    def schema(self, required: bool) -> JsonObject:
        bounds = without_none(minimum=self.minimum, maximum=self.maximum)
        return {"type": "number"} | bounds | without_none(default=self.default)

    def problem(self, value: object, required: bool) -> str | None:
        if not _is_number(value) or is_outside(value, self.minimum, self.maximum):
            return "must be a number" + range_phrase(self.minimum, self.maximum)
        return None


@dataclass(frozen=True, slots=True)
class DateInput:
    """A calendar date, written YYYY-MM-DD. An empty bound is no bound."""

    oneof: ClassVar[str] = "date"
    default: str | None = None
    minimum: str = ""
    maximum: str = ""

    def faults(self, limits: FormLimits) -> Iterator[Fault]:
        for name, text in (("minimum", self.minimum), ("maximum", self.maximum)):
            if text and not _is_date(text):
                yield (name, "must be a date written YYYY-MM-DD")
                return
        yield from bound_faults(self.minimum or None, self.maximum or None, "minimum", "maximum")

    def schema(self, required: bool) -> JsonObject:
        """JSON Schema has no bounds for dates; these are the widely used keywords of Ajv."""
        bounds = without_none(formatMinimum=self.minimum or None, formatMaximum=self.maximum or None)
        return {"type": "string", "format": "date"} | bounds | without_none(default=self.default)

    def problem(self, value: object, required: bool) -> str | None:
        # ISO dates with four-digit years sort like their texts.
        if not _is_date(value) or is_outside(value, self.minimum or None, self.maximum or None):
            return "must be a date written YYYY-MM-DD" + range_phrase(
                self.minimum or None, self.maximum or None
            )
        return None


Input = BooleanInput | SingleInput | MultiInput | TextInput | IntegerInput | NumberInput | DateInput


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_date(value: object) -> TypeGuard[str]:
    # `date.fromisoformat` also accepts 20240131 and 2024-W05-3.
    if not isinstance(value, str) or len(value) != 10 or value[4] != "-" or value[7] != "-":
        return False
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False
