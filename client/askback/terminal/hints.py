"""Hints: the text that may be typed for an entry, in words."""

from __future__ import annotations

from askback.terminal.fields import NOTHING, Entry, Field, Group, Items, Kind, Variants
from askback.terminal.formats import format_of
from askback.terminal.value_text import text_for

_HINTS = {
    Kind.BOOLEAN: "yes or no",
    Kind.INTEGER: "a whole number",
    Kind.NUMBER: "a number",
    Kind.DATE: "a date, such as 2026-12-01",
    Kind.MULTI: "any of these, with commas between",
}
_SEVERAL = {
    Kind.BOOLEAN: "yes or no",
    Kind.INTEGER: "whole numbers",
    Kind.NUMBER: "numbers",
    Kind.DATE: "dates, such as 2026-12-01",
    Kind.TEXT: "texts",
}
_BETWEEN = "with commas between, or one on each line"
_MAX_BRIEF_CHARS = 60


def hint_of(entry: Entry) -> str:
    """A hint for the person; empty where none is needed, as for a text."""
    parts: list[str] = []
    if isinstance(entry, Field):
        parts = _field_parts(entry)
    elif isinstance(entry, Items):
        parts = ["one after the other", *([str(entry.bounds)] if str(entry.bounds) else [])]
    return "; ".join([*parts, *(["only for some answers"] if entry.conditional else [])])


def kind_of(entry: Entry) -> str:
    """The kind of value in an entry: `a number, at least 0`, `one of: a, b`, `3 fields`."""
    match entry:
        case Field():
            return hint_of(entry) or ("a secret" if entry.secret else "text")
        case Group():
            return f"{len(entry.fields)} field{'s' * (len(entry.fields) != 1)}"
        case Items():
            return f"any number of {kind_of(entry.item)}" + (f", {entry.bounds}" if str(entry.bounds) else "")
        case Variants():
            return " or ".join(variant.title for variant in entry.variants)


def default_of(entry: Entry) -> str:
    """The default value in a few words; empty without a default."""
    if entry.default in (NOTHING, [], {}) or (entry.default is None and not entry.nullable):
        return ""
    return shorten(text_for(entry, entry.default))


def shorten(text: str) -> str:
    """The text on one line, cut if it is long."""
    flat = " ".join(text.split())
    return flat if len(flat) <= _MAX_BRIEF_CHARS else flat[: _MAX_BRIEF_CHARS - 1] + "…"


def _field_parts(field: Field) -> list[str]:
    parts = [_HINTS[field.kind]] if field.kind in _HINTS else []
    known = format_of(field.format)
    if known is not None:
        parts = [known.hint]
    elif field.secret:
        parts = ["not shown while you type"]
    elif field.kind is Kind.MULTI and not field.choices:
        parts = [f"texts, {_BETWEEN}", '["a, b"] is one']
    elif field.kind is Kind.LIST and field.item is not None:
        several = format_of(field.item.format)
        parts = [f"{several.several if several else _SEVERAL[field.item.kind]}, {_BETWEEN}"]
        if bounds := str(field.item.bounds):
            parts.append(f"each {bounds}" + " characters" * (field.item.kind is Kind.TEXT))
    elif field.kind is Kind.PAIRS:
        parts = [f"NAME=VALUE, {_BETWEEN}"]
        if field.choices:
            parts.append(f"NAME one of: {', '.join(choice.label for choice in field.choices)}")
        if field.item is not None and (value := kind_of(field.item)) != "text":
            parts.append(f"VALUE {value}")
    elif field.kind is Kind.JSON:
        parts = [f"JSON, such as {field.example}" if field.example else "JSON"]
    if bounds := str(field.bounds):
        unit = {Kind.TEXT: " characters", Kind.MULTI: " choices" if field.choices else " values"}
        unit |= {Kind.LIST: " values", Kind.PAIRS: " values"}
        parts.append(bounds + unit.get(field.kind, ""))
    if field.pattern:
        parts.append(f"must match {field.pattern}")
    return parts
