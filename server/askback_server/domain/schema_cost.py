"""Estimates the cost of validating a value by a JSON Schema, in one walk that follows references."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from askback_server.domain.json_text import BadFields, Json, JsonObject, quote

MAX_COST = 3_000
"""Parts of a schema, counted once for each reference to them."""
MAX_PATTERNS = 32
_MAX_REFERENCE_DEPTH = 200
# The unit of cost is visiting one part of a schema for one value, about 3 ns.
DIVISION_COST = 1_000
"""Cost of a `multipleOf`, or of a comparison with a fraction."""
_CHARACTER_COST = 5
"""Cost of one character at one state of a regular expression."""
# Cost per character of a text or list that a keyword reads as a whole. Measured: the slowest format takes
# 10 ns, JSON within a text 100 ns.
_READ = {"format": 5, "contentEncoding": 5, "contentMediaType": 40, "uniqueItems": 5}
_MAX_STATES = 4_000
_PROPERTY_NAMES_COST = 100
"""`propertyNames` copies the whole object for each of its keys."""

_DATA = frozenset({"const", "enum", "default", "examples"})
_DEFINITIONS = frozenset({"$defs", "definitions"})
_MAPS = _DEFINITIONS | {"properties", "patternProperties", "dependentSchemas", "dependencies"}
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_UNEVALUATED = frozenset({"unevaluatedProperties", "unevaluatedItems"})


def pattern_work(pattern: str, length: int) -> int:
    """The cost of searching `length` characters: the pattern's states, multiplied by its counted repeats."""
    states = len(pattern)
    for low, high in _REPEATS.findall(pattern):
        states = min(states * max(1, int((high or low)[:6])), _MAX_STATES)
    return _CHARACTER_COST * states * length


_REPEATS = re.compile(r"\{(\d+)(?:,(\d*))?\}")


@dataclass(frozen=True, slots=True)
class Cost:
    """The estimated cost of a validation, references followed."""

    parts: int = 0
    """Subschemas that may be visited for each value."""
    divisions: int = 0
    """`multipleOf` and fractional bounds among them."""
    per_character: int = 0
    """Cost for each character of a text."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.parts + other.parts,
            self.divisions + other.divisions,
            self.per_character + other.per_character,
        )

    def times(self, factor: int) -> Cost:
        """The cost of doing the same `factor` times."""
        return Cost(self.parts * factor, self.divisions * factor, self.per_character * factor)


def weight(value: Json) -> int:
    """The cost of copying each nested value: one at depth 3 is copied three times, with its parents."""
    total = 0
    pending = [(value, 1)]
    while pending:
        item, depth = pending.pop()
        total += depth
        if isinstance(item, str):
            total += depth * (len(item) // 256)
        elif isinstance(item, list):
            pending.extend((inner, depth + 1) for inner in item)
        elif isinstance(item, dict):
            pending.extend((inner, depth + 1) for inner in item.values())
    return total


def bad_schema(reason: str) -> BadFields:
    """The refusal of a form's JSON Schema."""
    return BadFields.one("schema_json", reason)


class Survey:
    """One walk over a schema. Raises BadFields unless its references are local, acyclic and cheap."""

    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._costs: dict[int, Cost] = {}
        self._open: set[int] = set()
        self._patterns = 0

    def run(self) -> Cost:
        """The cost of validating one value against the whole schema. Raises BadFields."""
        return self._schema(self._root, 0)

    def _schema(self, node: Json, depth: int) -> Cost:
        """The cost of validating one value, references followed."""
        if isinstance(node, str):
            return Cost(len(node) // 64)
        if isinstance(node, list):
            return sum((self._schema(item, depth + 1) for item in node), Cost(len(node)))
        if not isinstance(node, dict):
            return Cost()
        if (known := self._costs.get(id(node))) is not None:
            return known
        if id(node) in self._open:
            raise bad_schema("refers to itself; recursive schemas are not allowed")
        if depth > _MAX_REFERENCE_DEPTH:
            raise bad_schema("has references that follow each other too deeply")
        self._open.add(id(node))
        cost = sum((self._keyword(node, key, value, depth) for key, value in node.items()), Cost(1))
        if not _UNEVALUATED.isdisjoint(node):
            cost = cost.times(3)
        self._open.discard(id(node))
        if cost.parts > MAX_COST:
            raise bad_schema(
                f"is too large: it has more than {MAX_COST} parts once its references are followed"
            )
        self._costs[id(node)] = cost
        return cost

    def _keyword(self, node: JsonObject, key: str, value: Json, depth: int) -> Cost:
        if key == "$ref" and isinstance(value, str):
            return self._schema(self._target(value), depth + 1)
        if key in ("$dynamicRef", "$recursiveRef") or (key == "$id" and node is not self._root):
            raise bad_schema(f"must not use {key} here; refer to #/$defs/… instead")
        if key in _DATA:
            return Cost(weight(value) // 4)
        own = Cost(
            parts=_PROPERTY_NAMES_COST if key == "propertyNames" else 0,
            divisions=1 if key == "multipleOf" or (key in _BOUNDS and not isinstance(value, int)) else 0,
            per_character=_READ.get(key, 0),
        )
        if key == "pattern":
            own += self._patterns_cost([value])
        if key in _MAPS and isinstance(value, dict):
            if key == "patternProperties":
                own += self._patterns_cost(value)
            inner = sum((self._schema(item, depth + 1) for item in value.values()), own)
            return Cost() if key in _DEFINITIONS else inner
        return own + self._schema(value, depth + 1)

    def _patterns_cost(self, patterns: Collection[Json]) -> Cost:
        self._patterns += len(patterns)
        if self._patterns > MAX_PATTERNS:
            raise bad_schema(f"has more than {MAX_PATTERNS} regular expressions")
        return Cost(per_character=sum(pattern_work(p, 1) for p in patterns if isinstance(p, str)))

    def _target(self, reference: str) -> Json:
        if reference == "#":
            return self._root
        if not reference.startswith("#/") or "%" in reference:
            raise bad_schema(
                f"has the $ref {quote(reference)}; only plain pointers into the document (#/…) are allowed"
            )
        node: Json = self._root
        for part in reference[2:].split("/"):
            step = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict) and step in node:
                node = node[step]
            elif isinstance(node, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(node):
                node = node[int(step[:9])]
            else:
                raise bad_schema(f"has the $ref {quote(reference)}, which points nowhere")
        return node
