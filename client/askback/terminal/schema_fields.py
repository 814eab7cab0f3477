"""Finds the single field that can ask for a value of a JSON Schema."""

from __future__ import annotations

from typing import Any, Final

from askback.terminal.fields import Bounds, Choice, Kind
from askback.terminal.schema_shapes import branches_of, items_of, number_of, text_of, type_of

_KINDS: Final = {"boolean": Kind.BOOLEAN, "integer": Kind.INTEGER, "number": Kind.NUMBER}


def plain_field(part: dict[str, Any]) -> tuple[Kind, dict[str, Any]] | None:
    """The kind and the arguments of a Field for this schema; None if a Field cannot represent it."""
    if (offered := choices_of(part)) is not None:
        choices, other = offered
        return Kind.SINGLE, {"choices": choices, "allow_other": other}
    if (number := _number_union(part)) is not None:
        spelt = any(branch.get("type") == "string" for branch in branches_of(part))
        return Kind.NUMBER, {"bounds": _range(number), "format": "decimal" if spelt else ""}
    match type_of(part):
        case "string" if part.get("format") == "date":
            first, last = text_of(part, "formatMinimum"), text_of(part, "formatMaximum")
            return Kind.DATE, {"bounds": Bounds(first or None, last or None)}
        case "string":
            name = text_of(part, "format")
            if part.get("contentMediaType") == "application/json":
                name = "json"
            bounds = Bounds(number_of(part, "minLength"), number_of(part, "maxLength"))
            if name == "uri":
                bounds = Bounds()  # the message of the format says more than a number of characters
            secret = name == "password" or part.get("writeOnly") is True
            pattern = "" if name == "time-local" else text_of(part, "pattern")
            return Kind.TEXT, {"bounds": bounds, "pattern": pattern, "format": name, "secret": secret}
        case "integer" | "number" | "boolean" as name:
            return _KINDS[name], {} if name == "boolean" else {"bounds": _range(part)}
    return None


def _number_union(part: dict[str, Any]) -> dict[str, Any] | None:
    """The number in a union of numbers, or of a number and its text (pydantic's Decimal); else None."""
    branches = branches_of(part)
    numbers = [branch for branch in branches if branch.get("type") in ("number", "integer")]
    texts = [branch for branch in branches if branch not in numbers]
    if not numbers or len(branches) < 2 or not all(map(_spells_a_number, texts)):
        return None
    return next((branch for branch in numbers if branch["type"] == "number"), numbers[0])


def _spells_a_number(part: dict[str, Any]) -> bool:
    digits = "\\d" in text_of(part, "pattern") or "[0-9]" in text_of(part, "pattern")
    return part.get("type") == "string" and (part.get("format") == "decimal" or digits)


def choices_of(part: dict[str, Any]) -> tuple[tuple[Choice, ...], bool] | None:
    """The choices of a schema, and whether any other text is allowed too; None without choices."""
    if "const" in part:
        return (Choice(part["const"], text_of(part, "title")),), False
    if values := items_of(part, "enum"):
        names = items_of(part, "enumNames")
        titles = names if len(names) == len(values) else [""] * len(values)
        offered = tuple(
            Choice(value, title if isinstance(title, str) else "")
            for value, title in zip(values, titles, strict=True)
        )
        return offered, False
    for key in ("oneOf", "anyOf"):
        if not (branches := items_of(part, key)):
            continue
        titled = [b for b in branches if isinstance(b, dict) and "const" in b]
        others = [b for b in branches if b not in titled]
        free = all(isinstance(b, dict) and b.get("type") == "string" and "format" not in b for b in others)
        if titled and (not others or (key == "anyOf" and free)):
            offered = tuple(
                Choice(b["const"], text_of(b, "title"), text_of(b, "description")) for b in titled
            )
            return offered, bool(others)
    return None


def _range(part: dict[str, Any]) -> Bounds:
    low, high = number_of(part, "minimum"), number_of(part, "maximum")
    over, under = number_of(part, "exclusiveMinimum"), number_of(part, "exclusiveMaximum")
    low_open = over is not None and (low is None or over >= low)
    high_open = under is not None and (high is None or under <= high)
    lowest, highest = over if low_open else low, under if high_open else high
    return Bounds(_whole(lowest), _whole(highest), low_open, high_open)


def _whole(bound: Any) -> Any:
    """The bound as people write it: 0 for 0.0."""
    short = isinstance(bound, float) and bound.is_integer() and abs(bound) < 1e15
    return int(bound) if short else bound
