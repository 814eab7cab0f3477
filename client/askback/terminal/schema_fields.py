"""Turns a JSON Schema into the entries of a form.

A text (with formats such as date-time), a number, a boolean, an `enum`, titled constants, a list of these
and an object of these by name become a Field; an object and a list of fixed length a Group; a list of
groups becomes Items; a union becomes Variants. `null` beside a type makes the entry nullable. A schema
without such a form, for example a recursive one, is asked as JSON: only that value, or the whole form.
The server validates the values anyway.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from askback.terminal.fields import NOTHING, Bounds, Choice, Entry, Field, Group, Items, Kind, Variants
from askback.terminal.schema_examples import example_of
from askback.terminal.schema_shapes import (
    branches_of,
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
_KINDS: Final = {"boolean": Kind.BOOLEAN, "integer": Kind.INTEGER, "number": Kind.NUMBER}
_NAMES: Final = {
    "boolean": "yes or no",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "several fields",
}


def schema_entries(schema: Any) -> tuple[Entry, ...]:
    """The entries of a schema of type object: its properties, or one entry for all of it."""
    root: dict[str, Any] = schema if isinstance(schema, dict) else {}
    part, _ = simplify(root, root)
    form = _Form(root)
    if mapping_of(part, "properties") and not branches_of(part):
        return form.properties((), part, 0)
    if not branches_of(part) and _is_empty(part):
        return ()
    # If an empty object may be valid, Enter sends one; the server validates it.
    required = bool(branches_of(part)) or not part or any(key in part for key in _WANT_MORE)
    whole = form.entry((), {"title": "The values", **part}, required=required, depth=0)
    keyed = isinstance(whole, Items) and whole.keyed
    if keyed or isinstance(whole, Variants) or (isinstance(whole, Field) and whole.kind is Kind.PAIRS):
        return (whole,)
    return (
        Field(path=(), kind=Kind.JSON, title="The values", required=required, example=example_of(part, root)),
    )


def _is_empty(schema: dict[str, Any]) -> bool:
    """Whether the schema is a form without fields: an object that allows no properties."""
    if schema.get("type") != "object" or any(key in schema for key in (*_WANT_MORE, "patternProperties")):
        return False
    more = schema.get("additionalProperties")
    return more is False or (schema.get("properties") == {} and more is None)


class _Form:
    """Builds the entries of one schema, up to a maximum number of entries."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._left = _MAX_ENTRIES

    def properties(self, path: tuple[str, ...], part: dict[str, Any], depth: int) -> tuple[Entry, ...]:
        """An entry for each property of an object."""
        required = items_of(part, "required")
        return tuple(
            self.entry((*path, name), item, required=name in required, depth=depth + 1)
            for name, item in mapping_of(part, "properties").items()
        )

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
            if (plain := _plain(part)) is not None:
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
            case "object" if mapping_of(part, "properties"):
                return Group(fields=self.properties(path, part, depth), **common)
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
            rest = {k: v for k, v in part["properties"].items() if k not in fixed}
            fields = self.properties(path, {**part, "properties": rest}, depth)
            return Group(
                path=path,
                title=part["title"],
                help=text_of(part, "description"),
                required=True,
                fields=fields,
                fixed=tuple(fixed.items()),
            )
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
        names = (_choices(known) or ((), False))[0]
        if values is True or values == {}:
            return Field(kind=Kind.PAIRS, bounds=bounds, choices=names, **common)
        item = self.entry((), values, required=True, depth=depth + 1)
        if isinstance(item, Field) and item.kind in (*_PLAIN, Kind.SINGLE):
            return Field(kind=Kind.PAIRS, item=item, bounds=bounds, choices=names, **common)
        item = replace(item, title=text_of(simplify(values, self._root)[0], "title") or common["title"])
        return Items(item=item, bounds=bounds, keyed=True, names=names, **common)


def _plain(part: dict[str, Any]) -> tuple[Kind, dict[str, Any]] | None:
    """The kind and the arguments of a Field for this schema; None if a Field cannot represent it."""
    if (offered := _choices(part)) is not None:
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


def _choices(part: dict[str, Any]) -> tuple[tuple[Choice, ...], bool] | None:
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


def _distinct(variants: list[Entry]) -> Iterable[Entry]:
    """The variants, with a number in a title that another variant has too."""
    seen: set[str] = set()
    for number, variant in enumerate(variants, 1):
        title = variant.title if variant.title.casefold() not in seen else f"{variant.title} ({number})"
        seen.add(title.casefold())
        yield replace(variant, title=title)
