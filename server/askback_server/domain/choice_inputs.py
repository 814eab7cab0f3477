"""The input types with options; `question_inputs.py` explains their three methods."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from askback_server.domain.evolve import fast_init
from askback_server.domain.form_clarity import find_confusable
from askback_server.domain.input_rules import (
    Fault,
    FormLimits,
    count_faults,
    count_phrase,
    is_outside,
    text_faults,
    without_none,
)
from askback_server.domain.json_schema import join_choices
from askback_server.domain.json_text import JsonObject, is_plain


@fast_init
@dataclass(frozen=True, slots=True)
class Option:
    """One choice: the value that the job gets, and the title that a person sees (the value if empty)."""

    value: str
    title: str = ""
    description: str = ""
    recommended: bool = False


@fast_init
@dataclass(frozen=True, slots=True)
class SingleInput:
    """One of the options, or with `allow_other` any other text that is not empty."""

    oneof: ClassVar[str] = "single"
    options: tuple[Option, ...]
    default: str | None = None
    allow_other: bool = False

    def faults(self, limits: FormLimits) -> Iterator[Fault]:
        return _option_faults(self.options, limits)

    def schema(self, required: bool) -> JsonObject:
        key = "anyOf" if self.allow_other else "oneOf"
        choices = _choices(self.options, self.allow_other)
        return {"type": "string", key: choices} | without_none(default=self.default)

    def problem(self, value: object, required: bool) -> str | None:
        if isinstance(value, str):
            if self.allow_other and value:
                return None
            if any(option.value == value for option in self.options):
                return None
        return "must be one of: " + _values(self.options, self.allow_other)


@fast_init
@dataclass(frozen=True, slots=True)
class MultiInput:
    """Any of the options, each at most once. A required question without `min_items` needs at least one."""

    oneof: ClassVar[str] = "multi"
    options: tuple[Option, ...]
    default: tuple[str, ...] = ()
    min_items: int | None = None
    max_items: int | None = None
    allow_other: bool = False

    def faults(self, limits: FormLimits) -> Iterator[Fault]:
        yield from _option_faults(self.options, limits)
        yield from count_faults(self.min_items, self.max_items, "min_items", "max_items")
        if self.min_items is not None and self.min_items > len(self.options) and not self.allow_other:
            yield ("min_items", "must not be larger than the number of options")

    def schema(self, required: bool) -> JsonObject:
        items = {"type": "string", "anyOf": _choices(self.options, self.allow_other)}
        bounds = without_none(minItems=self._minimum(required), maxItems=self.max_items)
        default = without_none(default=list(self.default) or None)
        return {"type": "array", "items": items, "uniqueItems": True} | bounds | default

    def problem(self, value: object, required: bool) -> str | None:
        if not isinstance(value, list):
            return "must be a list of choices from: " + _values(self.options, self.allow_other)
        offered = {option.value for option in self.options}
        if not all(
            isinstance(item, str) and (item in offered or (self.allow_other and item)) for item in value
        ):
            return "has a choice that is not offered; offered are: " + _values(self.options, self.allow_other)
        if len(set(value)) != len(value):
            return "must not have the same choice twice"
        minimum = self._minimum(required)
        if is_outside(len(value), minimum, self.max_items):
            return "must have " + count_phrase(minimum, self.max_items, "choice")
        return None

    def _minimum(self, required: bool) -> int | None:
        return 1 if self.min_items is None and required else self.min_items


def _choices(options: tuple[Option, ...], allow_other: bool) -> list[JsonObject]:
    """Choices with titles, written as MCP's SEP-1330 does."""
    choices = [
        {"const": option.value, "title": option.title or option.value}
        | without_none(description=option.description or None)
        for option in options
    ]
    return [*choices, {"type": "string", "minLength": 1, "title": "Other"}] if allow_other else choices


def _values(options: tuple[Option, ...], allow_other: bool) -> str:
    return join_choices(tuple(option.value for option in options)) + (
        ", or another text" if allow_other else ""
    )


def _option_faults(options: tuple[Option, ...], limits: FormLimits) -> Iterator[Fault]:
    if not options:
        yield ("options", "must have at least one option")
    if len(options) > limits.max_options:
        yield ("options", f"has {len(options)} options; at most {limits.max_options} are allowed")
        return
    for index, other in find_confusable([(option.value, option.title) for option in options]):
        reason = f"is the value or the title of options[{other}] too: people could not tell them apart"
        yield (f"options[{index}].title", reason)
    seen: set[str] = set()
    for index, option in enumerate(options):
        if not option.value or option.value in seen:
            reason = "has the value of an earlier option" if option.value else "must not be empty"
            yield (f"options[{index}].value", reason)
        seen.add(option.value)
        for name, text, size in (
            ("value", option.value, limits.max_value_bytes),
            ("title", option.title, limits.max_title_bytes),
            ("description", option.description, limits.max_text_bytes),
        ):
            if not is_plain(text, size):
                yield from text_faults(text, f"options[{index}].{name}", size)
