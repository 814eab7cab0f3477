"""Flattens pydantic's JSON Schemas: consoles show fields, not references."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

_BY_NAME = ("patternProperties", "dependentSchemas")
_DATA = ("const", "enum", "default", "examples")
NULLABLE = "x-nullable"
"""Marks a former union with null, for the caller that knows which fields are required."""


def flatten(schema: dict[str, Any]) -> dict[str, Any]:
    """Write out every `$ref`, and reduce `… | null` to `…`.

    Properties keep their order, because people see them in it. A title or description beside a reference
    replaces that of the target. Raises ValueError for a recursive schema.
    """
    definitions = schema.get("$defs", {})
    flat = _flat({k: v for k, v in schema.items() if k != "$defs"}, definitions, ())
    assert isinstance(flat, dict)
    return flat


class Step(NamedTuple):
    """A field, or an item of a list, on the way to a place in a form's values."""

    key: str | int
    title: str
    """As people see it; an item has its number."""


def steps_to(place: Sequence[str | int], schema: Any, values: Any) -> Iterator[Step]:
    """The steps to a place as pydantic names it, which also names what has no place in the values: the
    branches of unions, validators, the keys of mappings."""
    for part in place:
        if isinstance(part, int):
            if not isinstance(values, list):
                continue
            schema = _inside(schema, part)
            values = values[part] if part < len(values) else None
            yield Step(part, str(part + 1))
            continue
        inside = _inside(schema, part)
        present = isinstance(values, dict) and part in values
        if not present and part not in schema.get("properties", {}):
            continue
        schema, values = inside, values[part] if present else None
        yield Step(part, str(schema.get("title", part)))


def _inside(schema: dict[str, Any], part: str | int) -> dict[str, Any]:
    """The schema of a property or of an item, also in the branches of a union; empty if there is none."""
    if isinstance(part, int):
        fixed = schema.get("prefixItems", ())
        found = fixed[part] if part < len(fixed) else schema.get("items")
    else:
        found = schema.get("properties", {}).get(part, schema.get("additionalProperties"))
    if isinstance(found, dict):
        return found
    branches = (branch for union in ("anyOf", "oneOf", "allOf") for branch in schema.get(union, ()))
    return next((inner for branch in branches if (inner := _inside(branch, part))), {})


def _flat(node: Any, definitions: dict[str, Any], path: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_flat(item, definitions, path) for item in node]
    if not isinstance(node, dict):
        return node
    if "discriminator" in node and isinstance(node["discriminator"], dict):
        # Its mapping refers to definitions, and these are written out.
        node = {**node, "discriminator": {"propertyName": node["discriminator"].get("propertyName")}}
    if "$ref" in node:
        name = str(node["$ref"]).removeprefix("#/$defs/")
        if name in path:
            raise ValueError(f"{name} contains itself; people cannot fill in a recursive form")
        beside = {key: value for key, value in node.items() if key != "$ref"}
        target = _flat(definitions[name], definitions, (*path, name))
        return {**target, **_flat(beside, definitions, path)}
    if (reduced := _without_null(node)) is not None:
        return {**_flat(reduced, definitions, path), NULLABLE: True}
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key in _DATA:
            result[key] = value
        elif key == "properties":
            wanted = node.get("required", ()) if path else ()
            result[key] = {
                name: _field(name, item, definitions, path, must=name in wanted)
                for name, item in value.items()
            }
        elif key in _BY_NAME:
            result[key] = {name: _flat(item, definitions, path) for name, item in value.items()}
        else:
            result[key] = _flat(value, definitions, path)
    return result


def _field(name: str, node: Any, definitions: dict[str, Any], path: tuple[str, ...], *, must: bool) -> Any:
    """Flatten a property. Without its own title it is titled by its name, not by its class.

    `must`: the property is required, below the top level of the form. Then it keeps its null branch, because
    None cannot be expressed by leaving the property out.
    """
    if must and isinstance(node, dict) and _without_null(node) is not None:
        own = {key: value for key, value in node.items() if key != "anyOf"}
        flat: Any = {**own, "anyOf": [_flat(branch, definitions, path) for branch in node["anyOf"]]}
    else:
        flat = _flat(node, definitions, path)
    if isinstance(node, dict) and isinstance(flat, dict) and "title" not in node:
        flat["title"] = name.replace("_", " ").title()
    if isinstance(flat, dict) and "default" in flat:
        flat["default"] = without_nulls(flat["default"], flat)
    return flat


def without_nulls(value: Any, schema: Any) -> Any:
    """Leave out the nulls of a JSON value that its flattened schema does not allow."""
    if isinstance(value, list):
        items = schema.get("items") if isinstance(schema, dict) else None
        return [without_nulls(item, items) for item in value]
    if not isinstance(value, dict) or not isinstance(schema, dict):
        return value
    branches = schema.get("anyOf") or schema.get("oneOf") or [schema]
    known: dict[str, Any] = next((b for b in branches if set(value) <= set(b.get("properties", ()))), {})
    parts = known.get("properties", {})
    found = {}
    for name, item in value.items():
        part = parts.get(name, schema.get("additionalProperties"))
        if item is not None or name not in parts or {"type": "null"} in part.get("anyOf", ()):
            found[name] = without_nulls(item, part)
    return found


def _without_null(node: dict[str, Any]) -> dict[str, Any] | None:
    """The node without its null branch and null default; None if it has no null branch."""
    branches = node.get("anyOf")
    if not isinstance(branches, list) or {"type": "null"} not in branches:
        return None
    rest = [branch for branch in branches if branch != {"type": "null"}]
    own = {k: v for k, v in node.items() if k != "anyOf" and not (k == "default" and v is None)}
    if len(rest) != 1:
        return {**own, "anyOf": rest}
    return {**rest[0], **own}
