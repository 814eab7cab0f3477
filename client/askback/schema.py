"""JSON Schemas from pydantic, made flat: consoles show fields, not references."""

from __future__ import annotations

from typing import Any

_BY_NAME = ("patternProperties", "dependentSchemas")
_DATA = ("const", "enum", "default", "examples")
NULLABLE = "x-nullable"
"""Marks what was a union with null. Left for the caller, who knows which fields must be there."""


def flattened(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema with every `$ref` written out and `… | null` reduced to `…`.

    The order of properties is kept: it is the order in which people see them. A title or description
    beside a reference replaces that of the target. Raises ValueError for a recursive schema.
    """
    definitions = schema.get("$defs", {})
    flat = _flat({k: v for k, v in schema.items() if k != "$defs"}, definitions, ())
    assert isinstance(flat, dict)
    return flat


def _flat(node: Any, definitions: dict[str, Any], path: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_flat(item, definitions, path) for item in node]
    if not isinstance(node, dict):
        return node
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
            result[key] = {name: _field(name, item, definitions, path) for name, item in value.items()}
        elif key in _BY_NAME:
            result[key] = {name: _flat(item, definitions, path) for name, item in value.items()}
        else:
            result[key] = _flat(value, definitions, path)
    return result


def _field(name: str, node: Any, definitions: dict[str, Any], path: tuple[str, ...]) -> Any:
    """A property. One without a title of its own is named after itself, not after its class."""
    flat = _flat(node, definitions, path)
    if isinstance(node, dict) and isinstance(flat, dict) and "title" not in node:
        flat["title"] = name.replace("_", " ").title()
    return flat


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
