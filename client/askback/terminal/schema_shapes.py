"""Simplifies a JSON Schema: resolves references, separates null, merges `allOf`, collects conditions."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

_MAX_STEPS = 20
"""The maximum number of steps of a simplification: ends a cycle of references."""
_CONDITIONS: Final = " conditions"
"""Where `simplify` puts the `if`, `then` and `else` of a schema and of its `allOf`. Not a keyword."""
_CONDITIONAL = ("if", "dependentSchemas", "dependentRequired")
_NEEDS_STEPS = ("$ref", "allOf", *_CONDITIONAL)
_BESIDE = ("type", "properties", "required", "$defs", _CONDITIONS)
_ONLY_RULES = frozenset({"required", "not", "title", "description", "minProperties", "maxProperties"})
"""Keywords of a branch that only says which combinations are valid, and asks for no value of its own."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a schema: `if_so` or `if_not` applies, depending on the values."""

    test: Any
    if_so: dict[str, Any]
    if_not: dict[str, Any]


def simplify(part: Any, root: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The schema with its references resolved and without null, and whether it allowed null."""
    nullable = False
    found: dict[str, Any] = part if isinstance(part, dict) else {}
    for _ in range(_MAX_STEPS):
        if isinstance(reference := found.get("$ref"), str):
            beside = {key: value for key, value in found.items() if key != "$ref"}
            found = {**_resolve(reference, root), **beside}
            continue
        if any(key in found for key in _CONDITIONAL):
            found = _collect_conditions(found)
            continue
        if branches := [branch for branch in items_of(found, "allOf") if isinstance(branch, dict)]:
            own = {key: value for key, value in found.items() if key != "allOf"}
            merged = [
                simplify(branch, root)[0] if any(key in branch for key in _NEEDS_STEPS) else branch
                for branch in branches
            ]
            found = merge_schemas(*merged, own)
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
            beside: dict[str, Any] = {k: part[k] for k in _BESIDE if k in part}
            if "properties" in beside and all(_ONLY_RULES.issuperset(branch) for branch in branches):
                continue
            return [merge_schemas(beside, branch) if beside else branch for branch in branches]
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


def conditions_of(part: dict[str, Any]) -> tuple[Condition, ...]:
    """The conditions that `simplify` has collected."""
    return tuple(one for one in items_of(part, _CONDITIONS) if isinstance(one, Condition))


def without_conditions(part: dict[str, Any]) -> dict[str, Any]:
    """The schema without the conditions that `simplify` has collected."""
    return {key: value for key, value in part.items() if key != _CONDITIONS}


def _collect_conditions(part: dict[str, Any]) -> dict[str, Any]:
    found = list(conditions_of(part))
    if "if" in part:
        found.append(Condition(part["if"], mapping_of(part, "then"), mapping_of(part, "else")))
    for name, schema in mapping_of(part, "dependentSchemas").items():
        if_so = schema if isinstance(schema, dict) else {}
        found.append(Condition({"required": [name]}, if_so, {}))
    for name, names in mapping_of(part, "dependentRequired").items():
        found.append(Condition({"required": [name]}, {"required": names}, {}))
    rest = {k: v for k, v in part.items() if k not in (*_CONDITIONAL, "then", "else")}
    return rest | {_CONDITIONS: found}


def merge_schemas(*schemas: dict[str, Any]) -> dict[str, Any]:
    """The schemas as one; where they contradict each other, the last one wins."""
    found: dict[str, Any] = {}
    for schema in schemas:
        for key, value in schema.items():
            if key == "properties" and isinstance(value, dict):
                found[key] = _merge_properties(mapping_of(found, key), value)
            elif key in ("required", _CONDITIONS) and isinstance(value, list):
                found[key] = [*items_of(found, key), *value]
            else:
                found[key] = value
    return found


def _merge_properties(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """A property that both have keeps the keywords of the first that the second does not repeat."""
    found = dict(one)
    for name, value in other.items():
        found[name] = {**mapping_of(found, name), **value} if isinstance(value, dict) else value
    return found
