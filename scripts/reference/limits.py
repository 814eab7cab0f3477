"""The page of the limits of a request, from the dataclasses that define them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from askback_server.domain.field_limits import FIELD_LIMITS, limit_value
from askback_server.domain.input_rules import FormLimits
from askback_server.domain.limits import Limits
from scripts.reference.docstrings import attributes
from scripts.reference.tables import table


def lines() -> Iterator[str]:
    """The lines of the page."""
    yield "# Limits"
    yield ""
    yield (
        "They are the same for every caller and are not settings. Whatever is too large, too long or too "
        "many is refused with `ERROR_REASON_INVALID_FIELD` when the request alone shows it, and with "
        "`ERROR_REASON_LIMIT_EXCEEDED` (whose metadata names the limit) when the state of things does. Sizes "
        "are bytes of UTF-8."
    )
    yield ""
    yield from _table(Limits())
    yield "## Forms and answers"
    yield ""
    yield from _table(FormLimits())
    yield "## Fields"
    yield ""
    yield (
        "Every text, list and map of every request, checked before anything else is done with the message. "
        "The refusal names the field, what was given and the limit. A message's fields have these limits "
        "wherever it is nested. What a text must look like is said in the [contract](api.md)."
    )
    yield ""
    yield from table(["message", "field", "entries", "bytes of each text", "bytes of each key"], _fields())


def _fields() -> Iterator[tuple[str, ...]]:
    limits = Limits()

    def cell(name: str) -> str:
        return f"{_format(name, limit_value(limits, name))} (`{name.removeprefix('forms.')}`)" if name else ""

    for message, fields in FIELD_LIMITS.items():
        for field, limit in fields.items():
            yield f"`{message}`", f"`{field}`", cell(limit.entries), cell(limit.text), cell(limit.key)


def _table(values: Any) -> Iterator[str]:
    rows = []
    for name, meaning in attributes(type(values)).items():
        value = getattr(values, name, None)
        if isinstance(value, int | timedelta):
            rows.append((f"`{name}`", _format(name, value), meaning))
    yield from table(["limit", "value", "about"], rows)


def _format(name: str, value: int | timedelta) -> str:
    if isinstance(value, timedelta):
        return _time(value)
    if "bytes" in name and value % 1024 == 0:
        return f"{value // 1024} KiB"
    return f"{value:,}"


def _time(value: timedelta) -> str:
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        count, rest = divmod(value.total_seconds(), size)
        if count and not rest:
            return f"{count:.0f} {unit}{'' if count == 1 else 's'}"
    return f"{value.total_seconds():g} seconds"
