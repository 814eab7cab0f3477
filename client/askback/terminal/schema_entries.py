"""Turns a JSON Schema into the entries of a form.

A text (with formats such as date-time), a number, a boolean, an `enum`, titled constants, a list of these
and an object of these by name become a Field; an object and a list of fixed length a Group; a list of
groups becomes Items; a union becomes Variants. `null` beside a type makes the entry nullable. A schema
without such a form, for example a recursive one, is asked as JSON: only that value, or the whole form.
The server validates the values anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from askback.terminal.conditions import ConditionalFields, Judge, conditional_properties
from askback.terminal.fields import NOTHING, Bounds, Entry, Field, Group, Items, Kind, Variants, is_object
from askback.terminal.schema_examples import example_of
from askback.terminal.schema_fields import choices_of, plain_field
from askback.terminal.schema_shapes import (
    branches_of,
    conditions_of,
    items_of,
    mapping_of,
    number_of,
    simplify,
    text_of,
    type_of,
)

_MAX_DEPTH = 8
"""The maximum depth of nested entries; deeper values are asked as JSON."""
_MAX_ENTRIES = 2_000
"""The maximum number of entries of one schema; further values are asked as JSON."""
_WANT_MORE = ("required", "minProperties", "not", "enum", "const")
"""Keywords that may refuse an empty object."""
_PLAIN = (Kind.TEXT, Kind.INTEGER, Kind.NUMBER, Kind.DATE, Kind.BOOLEAN)
"""Kinds whose lists can be typed on one line."""
_NAMES: Final = {
    "boolean": "yes or no",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "several fields",
}


def schema_entry(schema: Any) -> Entry | None:
    """The entry for all values of a form; None for a schema that allows none."""
    root: dict[str, Any] = schema if isinstance(schema, dict) else {}
    part, _ = simplify(root, root)
    branches = branches_of(part)
    if not branches and _is_empty(part):
        return None
    # If an empty object may be valid, Enter sends one; the server validates it.
    required = bool(branches) or not part or any(key in part for key in _WANT_MORE)
    whole = _Builder(root).entry((), {"title": "The values", **part}, required=required, depth=0)
    keyed = isinstance(whole, Items) and whole.keyed
    pairs = isinstance(whole, Field) and whole.kind is Kind.PAIRS
    if keyed or pairs or isinstance(whole, Variants) or is_object(whole):
        return whole
    return Field(
        path=(), kind=Kind.JSON, title="The values", required=required, example=example_of(part, root)
    )


def _is_empty(schema: dict[str, Any]) -> bool:
    """Whether the schema is a form without fields: an object that allows no properties."""
    wants_more = any(key in schema for key in (*_WANT_MORE, "patternProperties"))
    has_fields = mapping_of(schema, "properties") or conditions_of(schema)
    if schema.get("type") != "object" or wants_more or has_fields:
        return False
    more = schema.get("additionalProperties")
    return more is False or (schema.get("properties") == {} and more is None)


class _Builder:
    """Builds the entries of one schema, up to a maximum number of entries."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._left = _MAX_ENTRIES

    def _group(
        self, part: dict[str, Any], depth: int, common: dict[str, Any], fixed: Mapping[str, Any] | None = None
    ) -> Group:
        """An object. The constants in `fixed` are sent, but not asked for."""
        fixed = fixed or {}
        path: tuple[str, ...] = common["path"]
        fields = self._properties(path, part, depth, fixed)
        if not conditions_of(part):
            return Group(fields=fields, fixed=tuple(fixed.items()), **common)

        def build(effective: dict[str, Any]) -> tuple[Entry, ...]:
            return _Builder(self._root)._properties(path, effective, depth, fixed)

        judge = Judge.of(self._root)
        choose = None if judge is None else ConditionalFields(part, self._root, fixed, build, judge)
        more = self._conditional_fields(path, part, depth, {entry.key for entry in fields} | set(fixed))
        return Group(fields=(*fields, *more), fixed=tuple(fixed.items()), choose=choose, **common)

    def _properties(
        self, path: tuple[str, ...], part: dict[str, Any], depth: int, fixed: Mapping[str, Any]
    ) -> tuple[Entry, ...]:
        """An entry for each property of an object."""
        required = items_of(part, "required")
        return tuple(
            self.entry((*path, name), item, required=name in required, depth=depth + 1)
            for name, item in mapping_of(part, "properties").items()
            if name not in fixed and item is not False
        )

    def _conditional_fields(
        self, path: tuple[str, ...], part: dict[str, Any], depth: int, known: set[str]
    ) -> tuple[Entry, ...]:
        """An entry for each further property that any condition of an object shows."""
        found: dict[str, list[Entry]] = {}
        for name, item in conditional_properties(part, self._root):
            if name not in known and self._left > 0:
                entry = self.entry((*path, name), item, required=False, depth=depth + 1)
                entry = replace(entry, conditional=True)
                if entry not in found.setdefault(name, []):
                    found[name].append(entry)
        return tuple(_one_of(entries) for entries in found.values())

    def entry(self, path: tuple[str, ...], part: Any, *, required: bool, depth: int) -> Entry:
        """The entry for a value of this schema."""
        self._left -= 1
        part, nullable = simplify(part, self._root)
        common: dict[str, Any] = {
            "path": path,
            "title": text_of(part, "title") or (path[-1] if path else ""),
            "help": text_of(part, "description"),
            "required": required,
            "nullable": nullable,
            "default": part.get("default", NOTHING),
        }
        if depth <= _MAX_DEPTH and self._left > 0:
            if (plain := plain_field(part)) is not None:
                kind, given = plain
                return Field(kind=kind, **common, **given)
            if (composite := self._composite(path, part, depth, common)) is not None:
                return composite
        return Field(kind=Kind.JSON, example=example_of(part, self._root), **common)

    def _composite(
        self, path: tuple[str, ...], part: dict[str, Any], depth: int, common: dict[str, Any]
    ) -> Entry | None:
        """The entry for an object, a list or a union; None for any other schema."""
        if branches := branches_of(part):
            found = [self._variant(path, branch, depth, n) for n, branch in enumerate(branches, 1)]
            return Variants(variants=tuple(_distinct(found)), **common)
        match type_of(part):
            case "object" | "" if conditions_of(part) or mapping_of(part, "properties"):
                return self._group(part, depth, common)
            case "object":
                return self._by_name(part, depth, common)
            case "array":
                return self._list(part, depth, common)
        return None

    def _variant(self, path: tuple[str, ...], part: Any, depth: int, number: int) -> Entry:
        """The entry for one branch of a union. Its constants are the tag and are not asked for."""
        part, _ = simplify(part, self._root)
        fixed = {
            name: found["const"]
            for name, item in mapping_of(part, "properties").items()
            if "const" in (found := simplify(item, self._root)[0])
        }
        tag = next((value for value in fixed.values() if isinstance(value, str)), "")
        name = _NAMES.get(type_of(part), f"variant {number}")
        part = {**part, "title": text_of(part, "title") or tag or name}
        if fixed:
            common = {"path": path, "title": part["title"], "help": text_of(part, "description")}
            return self._group(part, depth, {**common, "required": True}, fixed)
        return self.entry(path, part, required=True, depth=depth + 1)

    def _list(self, part: dict[str, Any], depth: int, common: dict[str, Any]) -> Entry | None:
        bounds = Bounds(number_of(part, "minItems"), number_of(part, "maxItems"))
        unique = part.get("uniqueItems") is True
        places = items_of(part, "prefixItems")
        if not places and isinstance(part.get("items"), list):
            places = items_of(part, "items")  # the form of older dialects of JSON Schema
        if places:
            if bounds.low != bounds.high or bounds.high not in (None, len(places)):
                return None
            titled = [
                {"title": f"{n} of {len(places)}", **simplify(p, self._root)[0]}
                for n, p in enumerate(places, 1)
            ]
            fields = tuple(
                self.entry((str(n),), p, required=True, depth=depth + 1) for n, p in enumerate(titled)
            )
            return Group(sequence=True, fields=fields, **common)
        if not isinstance(part.get("items"), dict):
            return None
        item = self.entry((), part["items"], required=True, depth=depth + 1)
        if isinstance(item, Field):
            if item.kind is Kind.SINGLE:
                return Field(
                    kind=Kind.MULTI,
                    choices=item.choices,
                    allow_other=item.allow_other,
                    bounds=bounds,
                    **common,
                )
            if item.kind is Kind.TEXT and not (item.format or item.pattern or str(item.bounds)):
                return Field(kind=Kind.MULTI, allow_other=True, bounds=bounds, **common)
            if item.kind in _PLAIN:
                return Field(kind=Kind.LIST, item=item, bounds=bounds, unique=unique, **common)
            if item.kind is Kind.JSON:
                return None
        item = replace(
            item, title=text_of(simplify(part["items"], self._root)[0], "title") or common["title"]
        )
        return Items(item=item, bounds=bounds, unique=unique, **common)

    def _by_name(self, part: dict[str, Any], depth: int, common: dict[str, Any]) -> Entry | None:
        """The entry for values by name, such as `dict[str, int]`; None for an object that allows none."""
        patterns = mapping_of(part, "patternProperties")
        values = part.get("additionalProperties", True)
        if len(patterns) == 1 and not isinstance(values, dict):
            values = next(iter(patterns.values()))
        if values is False:
            return None
        bounds = Bounds(number_of(part, "minProperties"), number_of(part, "maxProperties"))
        known, _ = simplify(part.get("propertyNames"), self._root)
        names = (choices_of(known) or ((), False))[0]
        if values is True or values == {}:
            return Field(kind=Kind.PAIRS, bounds=bounds, choices=names, **common)
        item = self.entry((), values, required=True, depth=depth + 1)
        if isinstance(item, Field) and item.kind in (*_PLAIN, Kind.SINGLE):
            return Field(kind=Kind.PAIRS, item=item, bounds=bounds, choices=names, **common)
        item = replace(item, title=text_of(simplify(values, self._root)[0], "title") or common["title"])
        return Items(item=item, bounds=bounds, keyed=True, names=names, **common)


def _one_of(entries: list[Entry]) -> Entry:
    """One entry for a property to which several conditions give different shapes."""
    first = entries[0]
    if len(entries) == 1:
        return first
    return Variants(
        path=first.path,
        title=first.title,
        help=first.help,
        conditional=True,
        variants=tuple(_distinct([replace(entry, path=()) for entry in entries])),
    )


def _distinct(variants: list[Entry]) -> Iterable[Entry]:
    """The variants, with a number in a title that another variant has too."""
    seen: set[str] = set()
    for number, variant in enumerate(variants, 1):
        title = variant.title if variant.title.casefold() not in seen else f"{variant.title} ({number})"
        seen.add(title.casefold())
        yield replace(variant, title=title)
