"""Example values of a JSON Schema, for people who have to type JSON."""

from __future__ import annotations

from typing import Any

from askback._model.json_text import dumps
from askback.terminal.schema_shapes import branches_of, items_of, mapping_of, number_of, simplify, type_of


def example_of(part: Any, root: dict[str, Any]) -> str:
    """An example of a value of this schema, as JSON on one line; empty if it would be long."""
    if not simplify(part, root)[0].keys() - {"title", "description", "default"}:
        return '12.5, "text" or {"name": "value"}'
    text = dumps(_sample(part, root, 3), spaced=True)
    return text if len(text) <= 100 else ""


def _sample(part: Any, root: dict[str, Any], depth: int) -> Any:
    part, _ = simplify(part, root)
    given = items_of(part, "examples") or [part[key] for key in ("default", "const") if key in part]
    if chosen := given or items_of(part, "enum"):
        return chosen[0]
    if branches := branches_of(part):
        return _sample(branches[0], root, depth)
    match type_of(part):
        case "string":
            return "text"
        case "integer" | "number":
            return max(number_of(part, "minimum") or 0, 1)
        case "boolean":
            return True
        case "array":
            return [_sample(part.get("items"), root, depth - 1)] if depth and "items" in part else [1, 2]
    if not depth or not mapping_of(part, "properties"):
        return {"name": "value"}
    wanted = items_of(part, "required") or list(mapping_of(part, "properties"))[:3]
    known = mapping_of(part, "properties")
    return {
        name: _sample(known[name], root, depth - 1)
        for name in wanted
        if isinstance(name, str) and name in known
    }
