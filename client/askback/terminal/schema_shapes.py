"""Simplifies a JSON Schema: resolves references, separates null, merges `allOf`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

_MAX_STEPS = 20
"""The maximum number of steps of a simplification: ends a cycle of references."""


def simplify(part: Any, root: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The schema with its references resolved and without null, and whether it allowed null."""
    nullable = False
    found: dict[str, Any] = part if isinstance(part, dict) else {}
    for _ in range(_MAX_STEPS):
        if isinstance(reference := found.get("$ref"), str):
            beside = {key: value for key, value in found.items() if key != "$ref"}
            found = {**_resolve(reference, root), **beside}
            continue
        if branches := [branch for branch in items_of(found, "allOf") if isinstance(branch, dict)]:
            own = {key: value for key, value in found.items() if key != "allOf"}
            found = _merge_schemas(
                [simplify(branch, root)[0] if "$ref" in branch else branch for branch in branches], own
            )
            continue
        for key in ("anyOf", "oneOf"):
            branches = items_of(found, key)
            rest = [branch for branch in branches if branch != {"type": "null"}]
            only: Any = rest[0] if len(rest) == 1 else None
            if len(rest) == len(branches) and not (isinstance(only, dict) and "const" not in only):
                continue
            nullable = nullable or len(rest) < len(branches)
            own = {k: v for k, v in found.items() if k != key and not (k == "default" and v is None)}
            found = {**only, **own} if isinstance(only, dict) else own | {key: rest}
            break
        else:
            break
    types = found.get("type")
    if isinstance(types, list) and "null" in types:
        left = [name for name in types if name != "null"]
        nullable = True
        found = {**found, "type": left[0] if len(left) == 1 else left}
    return found, nullable


def branches_of(part: dict[str, Any]) -> list[dict[str, Any]]:
    """The branches of a union, each with the keywords beside the union; empty for any other schema."""
    for key in ("anyOf", "oneOf"):
        branches = items_of(part, key)
        if branches and all(isinstance(branch, dict) for branch in branches):
            beside: dict[str, Any] = {
                k: part[k] for k in ("type", "properties", "required", "$defs") if k in part
            }
            return [_merge_schemas([beside], branch) if beside else branch for branch in branches]
    types = part.get("type")
    if isinstance(types, list):
        own = {k: v for k, v in part.items() if k not in ("type", "title", "description", "default")}
        return [{**own, "type": name} for name in types if isinstance(name, str)]
    return []


def type_of(part: dict[str, Any]) -> str:
    """The type; `object` for a schema with properties and no type; empty for several types or none."""
    found = part.get("type", "object" if "properties" in part else "")
    return found if isinstance(found, str) else ""


def mapping_of(part: Any, key: str) -> dict[str, Any]:
    """The object under the key; empty if there is none."""
    found = part.get(key) if isinstance(part, dict) else None
    return found if isinstance(found, dict) else {}


def items_of(part: dict[str, Any], key: str) -> list[Any]:
    """The list under the key; empty if there is none."""
    found = part.get(key)
    return found if isinstance(found, list) else []


def text_of(part: dict[str, Any], key: str) -> str:
    """The text under the key; empty if there is none."""
    found = part.get(key)
    return found if isinstance(found, str) else ""


def number_of(part: dict[str, Any], key: str) -> Any:
    """The number under the key; None if there is none."""
    found = part.get(key)
    return found if isinstance(found, int | float | Decimal) and not isinstance(found, bool) else None


def _resolve(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    node: Any = root
    if not reference.startswith("#/"):
        return {}
    for token in reference[2:].split("/"):
        node = node.get(token.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def _merge_schemas(branches: list[dict[str, Any]], own: dict[str, Any]) -> dict[str, Any]:
    """The branches merged into one schema; where they contradict each other, the last one wins."""
    found: dict[str, Any] = {}
    for branch in (*branches, own):
        for key, value in branch.items():
            if key == "properties" and isinstance(value, dict):
                found[key] = {**mapping_of(found, key), **value}
            elif key == "required" and isinstance(value, list):
                found[key] = [*items_of(found, key), *value]
            else:
                found[key] = value
    return found
