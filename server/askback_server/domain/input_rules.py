"""Shared by the input types of questions: limits, checks of ranges, and the phrases for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from askback_server.domain.json_text import BadFields, Json, JsonObject, check_text, is_plain

Ordered = TypeVar("Ordered", float, str)

Fault = tuple[str, str]
"""A violation of a question: (path below the question, description)."""


@dataclass(frozen=True, slots=True)
class FormLimits:
    """Size limits of forms and answers; bytes are of UTF-8."""

    max_questions: int = 50
    """Per form."""
    max_options: int = 200
    """Per question."""
    max_title_bytes: int = 1_024
    max_text_bytes: int = 16_384
    """Help and rationale of a question, and the value of a text question."""
    max_value_bytes: int = 256
    """The value of an option, and another text in its place."""
    max_pattern_chars: int = 256
    max_schema_bytes: int = 65_536
    """A form that is a JSON Schema."""
    max_values_bytes: int = 262_144
    """All values of one answer."""
    max_comment_bytes: int = 16_384
    max_edit_bytes: int = 524_288
    """One edited content."""
    max_label_bytes: int = 128
    """A decision's label."""


def without_none(**keywords: Json) -> JsonObject:
    """The keywords of a JSON Schema that have a value."""
    return {key: value for key, value in keywords.items() if value is not None}


def is_outside(value: Ordered, low: Ordered | None, high: Ordered | None) -> bool:
    """Whether a value is below `low` or above `high`; None stands for no bound."""
    return (low is not None and value < low) or (high is not None and value > high)


def range_phrase(low: object, high: object) -> str:
    """The end of a message about a value: ` between 1 and 5`, ` of at least 1`, or nothing without bounds."""
    if low is not None and high is not None:
        return f" between {low} and {high}"
    if low is not None:
        return f" of at least {low}"
    return "" if high is None else f" of at most {high}"


def count_phrase(low: int | None, high: int | None, noun: str) -> str:
    """The part of a message about a number of items: `exactly 2 choices`, `1 to 3 choices`."""
    last = high if high is not None else low
    plural = noun if last == 1 else noun + "s"
    if low and high is not None:
        return f"exactly {low} {plural}" if low == high else f"{low} to {high} {plural}"
    return f"at least {low} {plural}" if high is None else f"at most {high} {plural}"


def count_faults(low: int | None, high: int | None, low_name: str, high_name: str) -> Iterator[Fault]:
    """Faults of the bounds of a length or a count: negative, zero at most, or crossed."""
    if low is not None and low < 0:
        yield (low_name, "must not be negative")
    if high is not None and high < 1:
        yield (high_name, "must be at least 1")
    yield from bound_faults(low, high, low_name, high_name)


def bound_faults(low: Ordered | None, high: Ordered | None, low_name: str, high_name: str) -> Iterator[Fault]:
    """The fault of bounds of which the lower is larger."""
    if low is not None and high is not None and low > high:
        yield (low_name, f"must not be larger than {high_name}")


def text_faults(text: str, path: str, max_bytes: int) -> Iterator[Fault]:
    """The violations of `check_text`, as faults."""
    if is_plain(text, max_bytes):
        return
    try:
        check_text(text, field=path, max_bytes=max_bytes)
    except BadFields as bad:
        for violation in bad.violations:
            yield (violation.field, violation.description)
