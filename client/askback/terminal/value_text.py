"""Formats a form's values for people."""

from __future__ import annotations

from typing import Any

from askback._model.json_text import dumps
from askback.terminal.choices import label_of
from askback.terminal.fields import Entry, Field, Group, Items, Kind, Variants
from askback.terminal.formats import format_of
from askback.terminal.value_parser import fits

HIDDEN = "••••••"
"""Shown in place of a secret."""


def text_for(entry: Entry, value: Any) -> str:
    """A value as people see it: on one line, unless the value is a text of several lines."""
    match entry:
        case _ if value is None:
            return "none"
        case Group(sequence=True) if isinstance(value, list) and len(value) == len(entry.fields):
            return ", ".join(map(text_for, entry.fields, value))
        case Group() if isinstance(value, dict):
            known = (
                (item.title, text_for(item, value[item.key]))
                for item in entry.fields_for(value)
                if item.key in value
            )
            return ", ".join(f"{title}: {text}" for title, text in known) or entry.title
        case Items(keyed=True) if isinstance(value, dict):
            return (
                "; ".join(f"{name}: {text_for(entry.item, item)}" for name, item in value.items()) or "none"
            )
        case Items() if isinstance(value, list):
            return "; ".join(text_for(entry.item, item) for item in value) or "none"
        case Variants():
            found = next((variant for variant in entry.variants if fits(variant, value)), None)
            if isinstance(found, Group) and not found.sequence and isinstance(value, dict):
                inner = text_for(found, value)
                return f"{found.title} ({inner})" if inner != found.title else inner
            return _json_text(value) if found is None else text_for(found, value)
        case Field():
            return _field_text(entry, value)
    return _json_text(value)


def _field_text(field: Field, value: Any) -> str:
    if field.secret:
        return HIDDEN
    if field.kind is Kind.SINGLE:
        return label_of(field, value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field.kind is Kind.MULTI and isinstance(value, list):
        return ", ".join(label_of(field, item) for item in value) or "none"
    if field.kind is Kind.LIST and isinstance(value, list):
        return ", ".join(_item_text(field, item) for item in value) or "none"
    if field.kind is Kind.PAIRS and isinstance(value, dict):
        return ", ".join(f"{name}={_item_text(field, item)}" for name, item in value.items()) or "none"
    if field.format and isinstance(value, str) and (known := format_of(field.format)) is not None:
        return known.show(value)
    return _json_text(value)


def _item_text(field: Field, value: Any) -> str:
    return _json_text(value) if field.item is None else text_for(field.item, value)


def _json_text(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value, spaced=True)
