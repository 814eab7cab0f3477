"""Fields of a JSON Schema: the flat subset that people can fill in line by line.

Shown as fields: text, numbers, booleans, dates, `enum`, titled `oneOf` and `anyOf`, lists of those, lists
of texts, and objects of these one level deep; `null` beside a type makes it optional. Anything else is
asked as JSON: that field alone, or the whole form. The server judges in any case.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from askback.terminal.fields import NOTHING, Bounds, Choice, Entry, Field, Group, Kind

_DEPTH = 20
"""So many references in a row are enough."""
_WHOLE = ("$ref", "allOf", "anyOf", "oneOf", "if")
"""What makes a schema too involved to be asked field by field."""
_WANT_MORE = ("required", "minProperties", "not", "enum", "const")
"""With these an empty object may not do."""
_KINDS = {
    "boolean": Kind.BOOLEAN,
    "string": Kind.TEXT,
    "integer": Kind.INTEGER,
    "number": Kind.NUMBER,
}


def of_schema(schema: Any) -> tuple[Entry, ...]:
    """The entries of a schema of type object; one JSON field for all of it if it is not that simple."""
    properties = _mapping(schema, "properties")
    whole = any(key in schema for key in _WHOLE) if isinstance(schema, dict) else True
    if not properties and not whole and _is_empty(schema):
        return ()
    if not properties or whole:
        # Where an empty object may do, Enter gives one; the server judges.
        may_be_empty = not whole and not any(key in schema for key in _WANT_MORE)
        help = _spelt(schema)
        return (Field(path=(), kind=Kind.JSON, title="The values", help=help, required=not may_be_empty),)
    return tuple(
        _entry((name,), part, schema, required=name in _list(schema, "required"))
        for name, part in properties.items()
    )


def _is_empty(schema: dict[str, Any]) -> bool:
    """Whether it is a form without fields: an object that says it has none."""
    if schema.get("type") != "object" or any(key in schema for key in (*_WANT_MORE, "patternProperties")):
        return False
    more = schema.get("additionalProperties")
    return more is False or (schema.get("properties") == {} and more is None)


def _entry(path: tuple[str, ...], part: Any, root: dict[str, Any], *, required: bool) -> Entry:
    part, nullable = _simple(part, root)
    if len(path) == 1 and _type(part) == "object" and (inner := _mapping(part, "properties")):
        fields = [
            _entry((*path, name), item, root, required=name in _list(part, "required"))
            for name, item in inner.items()
        ]
        return Group(
            path=path,
            title=_title(part, path),
            help=_text(part, "description"),
            required=required and not nullable,
            fields=tuple(field for field in fields if isinstance(field, Field)),
        )
    kind, given = _asked(part, root)
    return Field(
        path=path,
        kind=kind,
        title=_title(part, path),
        help=_spelt(part) if kind is Kind.JSON else _text(part, "description"),
        required=required,
        nullable=nullable,
        default=part.get("default", NOTHING),
        **given,
    )


def _asked(part: dict[str, Any], root: dict[str, Any]) -> tuple[Kind, dict[str, Any]]:
    """How to ask for a value of this schema."""
    if (offered := _choices(part)) is not None:
        choices, other = offered
        return Kind.SINGLE, {"choices": choices, "allow_other": other}
    match _type(part):
        case "string" if part.get("format") == "date":
            first, last = _text(part, "formatMinimum"), _text(part, "formatMaximum")
            return Kind.DATE, {"bounds": Bounds(first or None, last or None)}
        case "string":
            bounds = Bounds(_number(part, "minLength"), _number(part, "maxLength"))
            return Kind.TEXT, {"bounds": bounds, "pattern": _text(part, "pattern")}
        case "integer" | "number" as name:
            return _KINDS[name], {"bounds": _range(part)}
        case "boolean":
            return Kind.BOOLEAN, {}
        case "array":
            items, _ = _simple(part.get("items"), root)
            bounds = Bounds(_number(part, "minItems"), _number(part, "maxItems"))
            if (offered := _choices(items)) is not None:
                choices, other = offered
                return Kind.MULTI, {"choices": choices, "allow_other": other, "bounds": bounds}
            if _type(items) == "string":
                return Kind.MULTI, {"allow_other": True, "bounds": bounds}
    return Kind.JSON, {}


def _simple(part: Any, root: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The schema with its reference written out and its null taken away, and whether it had one."""
    nullable = False
    found: dict[str, Any] = part if isinstance(part, dict) else {}
    for _ in range(_DEPTH):
        if isinstance(reference := found.get("$ref"), str):
            beside = {key: value for key, value in found.items() if key != "$ref"}
            found = {**_target(reference, root), **beside}
            continue
        for key in ("anyOf", "oneOf"):
            branches = _list(found, key)
            rest = [branch for branch in branches if branch != {"type": "null"}]
            if len(rest) < len(branches):
                nullable = True
                own = {k: v for k, v in found.items() if k != key and not (k == "default" and v is None)}
                found = (
                    {**rest[0], **own} if len(rest) == 1 and isinstance(rest[0], dict) else own | {key: rest}
                )
                break
        else:
            break
    types = found.get("type")
    if isinstance(types, list) and "null" in types:
        left = [name for name in types if name != "null"]
        nullable = True
        found = {**found, "type": left[0] if len(left) == 1 else left}
    return found, nullable


def _target(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    node: Any = root
    if not reference.startswith("#/"):
        return {}
    for token in reference[2:].split("/"):
        node = node.get(token.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def _choices(part: dict[str, Any]) -> tuple[tuple[Choice, ...], bool] | None:
    """What a schema offers, and whether any other text will do; None if it offers nothing."""
    if "const" in part:
        return (Choice(part["const"], _text(part, "title")),), False
    if values := _list(part, "enum"):
        names = _list(part, "enumNames")
        titles = names if len(names) == len(values) else [""] * len(values)
        offered = tuple(
            Choice(value, title if isinstance(title, str) else "")
            for value, title in zip(values, titles, strict=True)
        )
        return offered, False
    for key in ("oneOf", "anyOf"):
        if not (branches := _list(part, key)):
            continue
        titled = [b for b in branches if isinstance(b, dict) and "const" in b]
        others = [b for b in branches if b not in titled]
        free = all(isinstance(b, dict) and b.get("type") == "string" for b in others)
        if titled and (not others or (key == "anyOf" and free)):
            offered = tuple(Choice(b["const"], _text(b, "title"), _text(b, "description")) for b in titled)
            return offered, bool(others)
    return None


def _range(part: dict[str, Any]) -> Bounds:
    low, high = _number(part, "minimum"), _number(part, "maximum")
    over, under = _number(part, "exclusiveMinimum"), _number(part, "exclusiveMaximum")
    low_open = over is not None and (low is None or over >= low)
    high_open = under is not None and (high is None or under <= high)
    return Bounds(over if low_open else low, under if high_open else high, low_open, high_open)


def _type(part: dict[str, Any]) -> str:
    """The one type; an object without `type` is one by its properties; empty if it is not clear."""
    found = part.get("type", "object" if "properties" in part else "")
    return found if isinstance(found, str) else ""


def _spelt(schema: Any) -> str:
    """A schema for people to read, whole, where there is no better way to say what is wanted."""
    return "As JSON that satisfies this schema:\n" + json.dumps(
        schema, ensure_ascii=False, indent=2, default=str
    )


def _title(part: dict[str, Any], path: tuple[str, ...]) -> str:
    return _text(part, "title") or path[-1]


def _mapping(part: Any, key: str) -> dict[str, Any]:
    found = part.get(key) if isinstance(part, dict) else None
    return found if isinstance(found, dict) else {}


def _list(part: dict[str, Any], key: str) -> list[Any]:
    found = part.get(key)
    return found if isinstance(found, list) else []


def _text(part: dict[str, Any], key: str) -> str:
    found = part.get(key)
    return found if isinstance(found, str) else ""


def _number(part: dict[str, Any], key: str) -> Any:
    found = part.get(key)
    return found if isinstance(found, int | float | Decimal) and not isinstance(found, bool) else None
