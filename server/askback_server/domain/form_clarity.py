"""Finds forms that mislead people: choices that look alike, defaults that would be refused, secrets."""

import json
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice

import jsonschema_rs

from askback_server.domain.json_schema import compile_schema
from askback_server.domain.json_text import BadFields, Json, JsonObject, Violation, pointer

_DATA = frozenset({"const", "enum", "default", "examples"})
_MAX_DEPTH = 8
"""How many levels of nested objects are searched for defaults; consoles show no deeper ones."""
_MAX_ERRORS = 100
_MAX_COST = 100_000
"""Cost of the schema times the number of its defaults: above it they are not checked."""
_REGEX = jsonschema_rs.RegexOptions(size_limit=1 << 18, dfa_size_limit=1 << 18)

Name = tuple[str, str]
"""A choice: its value as text, and its title (empty: the value is shown)."""


def comparable(text: str) -> str:
    """The text without differences that people overlook: case, width, spaces, invisible characters."""
    if text.isascii() and text.isprintable():
        return " ".join(text.lower().split())  # the same, for most texts
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c for c in folded if unicodedata.category(c) not in ("Cf", "Cc", "Mn")).split())


def find_confusable(names: Sequence[Name]) -> Iterator[tuple[int, int]]:
    """Pairs of indexes (a, b) where the title of choice a looks like the value or title of choice b."""
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
    """Raise BadFields on `schema_json` for misleading choices or defaults, and for fields for secrets.

    Call `compile_schema` first: an invalid schema is not handled here.
    """
    schema = json.loads(schema_json)
    found = [*_choices(schema, ()), *_defaults(schema, schema_json), *_secrets(schema, ())]
    if found:
        raise BadFields(tuple(Violation("schema_json", f"at {where}: {why}") for where, why in found))


def _choices(node: Json, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
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


def _secrets(node: Json, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Fields that ask for a secret: answers are stored in plain text and shown."""
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


def _names(node: JsonObject) -> list[Name]:
    """The choices that a schema offers: constants with titles, or `enum` with `enumNames`."""
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


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _title(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _defaults(schema: JsonObject, schema_json: str) -> Iterator[tuple[str, str]]:
    """Defaults that do not match the schema of their field."""
    found: dict[tuple[str, ...], Json] = {}
    _collect(schema, (), found)
    if not found or compile_schema(schema_json).cost * len(found) > _MAX_COST:
        return
    # Only the keywords that locate the schema of a field: a form of defaults alone need not be complete.
    only = ("$schema", "$defs", "definitions", "properties", "$id")
    bare = {key: value for key, value in schema.items() if key in only}
    validator = jsonschema_rs.validator_for(
        bare, pattern_options=_REGEX, validate_formats=True, offline=True, mask="the default"
    )
    for depth in range(1, _MAX_DEPTH + 1):
        paths = {path for path in found if len(path) == depth}
        instance: JsonObject = {}
        for path in paths:
            node = instance
            for name in path[:-1]:
                node = node.setdefault(name, {})
            node[path[-1]] = found[path]
        for error in islice(validator.iter_errors(instance), _MAX_ERRORS):
            path = tuple(str(step) for step in error.instance_path)
            if path[:depth] in paths:
                yield pointer(*path[:depth]), f"the default does not fit: {error.message}"
                paths.discard(path[:depth])


def _collect(node: Json, path: tuple[str, ...], found: dict[tuple[str, ...], Json]) -> None:
    properties = node.get("properties") if isinstance(node, dict) else None
    if not isinstance(properties, dict) or len(path) == _MAX_DEPTH:
        return
    for name, part in properties.items():
        if isinstance(part, dict) and "default" in part:
            found[(*path, name)] = part["default"]
        _collect(part, (*path, name), found)
