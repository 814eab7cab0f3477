"""Forms that mislead: choices that cannot be told apart, suggested values that would be refused, secrets."""

import json
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import jsonschema_rs

from askback_server.domain.json_schema import compile_schema
from askback_server.domain.json_text import BadFields, Violation, pointer

_DATA = frozenset({"const", "enum", "default", "examples"})
_FORMS_DEPTH = 8
"""So many objects one within the other are looked into for defaults: no console suggests deeper ones."""
_MOST_ERRORS = 100
_MOST_COST = 100_000
"""Cost of the schema times the number of its defaults: beyond that they are not judged here."""
_REGEX = jsonschema_rs.RegexOptions(size_limit=1 << 18, dfa_size_limit=1 << 18)

Name = tuple[str, str]
"""Of one choice: its value as text, and its title; no title means the value."""


def comparable(text: str) -> str:
    """What people take for the same text: case, width, spaces and invisible characters do not count."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c for c in folded if unicodedata.category(c) not in ("Cf", "Cc", "Mn")).split())


def find_confusable(names: Sequence[Name]) -> Iterator[tuple[int, int]]:
    """Pairs of choices of which one has a title that is the other's value or title: (which, the other)."""
    values: dict[str, list[int]] = {}
    for index, (value, _) in enumerate(names):
        values.setdefault(comparable(value), []).append(index)
    titles: dict[str, int] = {}
    for index, (_, title) in enumerate(names):
        if not title:
            continue
        known = comparable(title)
        other = next((i for i in values.get(known, ()) if i != index), titles.get(known))
        if other is not None:
            yield index, other
        titles.setdefault(known, index)


def check_schema(schema_json: str) -> None:
    """Raise BadFields on `schema_json` for choices or defaults that mislead, and for secrets.

    The schema has compiled.
    """
    schema = json.loads(schema_json)
    found = [*_choices(schema, ()), *_defaults(schema, schema_json), *_secrets(schema, ())]
    if found:
        raise BadFields(tuple(Violation("schema_json", f"at {where}: {why}") for where, why in found))


def _choices(node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _choices(item, (*path, str(index)))
    if not isinstance(node, dict):
        return
    for index, other in find_confusable(_names(node)):
        yield (
            pointer(*path),
            f"choice {index + 1} has a title that is the value or title of choice {other + 1}",
        )
    for key, value in node.items():
        if key not in _DATA:
            yield from _choices(value, (*path, key))


def _secrets(node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Fields that promise to keep a secret, which no answer does: it is stored in plain and shown."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _secrets(item, (*path, str(index)))
    if not isinstance(node, dict):
        return
    if node.get("format") == "password" or node.get("writeOnly") is True:
        yield (
            pointer(*path),
            "asks for a secret, but answers are stored in plain and shown: "
            "ask where the secret is kept, or for a confirmation that it is in place",
        )
    for key, value in node.items():
        if key not in _DATA:
            yield from _secrets(value, (*path, key))


def _names(node: dict[str, Any]) -> list[Name]:
    """The choices that a schema offers: titled constants, or values with names beside them."""
    for key in ("oneOf", "anyOf"):
        branches = node.get(key)
        titled = (
            [b for b in branches if isinstance(b, dict) and "const" in b]
            if isinstance(branches, list)
            else []
        )
        if titled:
            return [(_text(b["const"]), _title(b.get("title"))) for b in titled]
    values, titles = node.get("enum"), node.get("enumNames")
    if isinstance(values, list) and isinstance(titles, list) and len(values) == len(titles):
        return [(_text(value), _title(title)) for value, title in zip(values, titles, strict=True)]
    return []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _title(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _defaults(schema: dict[str, Any], schema_json: str) -> Iterator[tuple[str, str]]:
    """Defaults that their own schemas refuse, each judged in its place."""
    found: dict[tuple[str, ...], Any] = {}
    _collect(schema, (), found)
    if not found or compile_schema(schema_json).cost * len(found) > _MOST_COST:
        return
    # Of the whole only what says where a field's schema is: the form as such need not be filled in.
    only = ("$schema", "$defs", "definitions", "properties", "$id")
    bare = {key: value for key, value in schema.items() if key in only}
    validator = jsonschema_rs.validator_for(
        bare, pattern_options=_REGEX, validate_formats=True, offline=True, mask="the default"
    )
    for depth in range(1, _FORMS_DEPTH + 1):
        paths = {path for path in found if len(path) == depth}
        instance: dict[str, Any] = {}
        for path in paths:
            node = instance
            for name in path[:-1]:
                node = node.setdefault(name, {})
            node[path[-1]] = found[path]
        for error in islice(validator.iter_errors(instance), _MOST_ERRORS):
            path = tuple(str(step) for step in error.instance_path)
            if path[:depth] in paths:
                yield pointer(*path[:depth]), f"the default does not fit: {error.message}"
                paths.discard(path[:depth])


def _collect(node: Any, path: tuple[str, ...], found: dict[tuple[str, ...], Any]) -> None:
    properties = node.get("properties") if isinstance(node, dict) else None
    if not isinstance(properties, dict) or len(path) == _FORMS_DEPTH:
        return
    for name, part in properties.items():
        if isinstance(part, dict) and "default" in part:
            found[(*path, name)] = part["default"]
        _collect(part, (*path, name), found)
