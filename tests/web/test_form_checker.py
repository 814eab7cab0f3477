"""The page's check of values never refuses what the service accepts.

The page checks while a person types; the service judges. Both get the same random schemas and values.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.support.page_packages import bundle_program, run_program

CASES = 3_000
NUMBERS = [0, 1, -1, 2, 5, 10, 1.5, 0.1, 0.3, 1e2, 9007199254740993, 2.0, -3.25]
TEXTS = ["", "a", "ab", "abc", "é😀", "10", "x", "2026-12-01"]
TYPES = [
    "string",
    "integer",
    "number",
    "boolean",
    "null",
    "array",
    "object",
    ["string", "null"],
    ["integer", "object"],
]
SIZES = ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"]
LIMITS = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]


class Generator:
    """Random schemas and values from few names and numbers, so that they often meet."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def value(self, depth: int = 0) -> Any:
        pick = self._random
        kind = pick.randrange(9 if depth < 3 else 6)
        if kind < 2:
            return pick.choice([True, False, None])
        if kind < 4:
            return pick.choice(NUMBERS)
        if kind < 6:
            return pick.choice(TEXTS)
        if kind == 6:
            return [self.value(depth + 1) for _ in range(pick.randrange(4))]
        return {pick.choice("abcd"): self.value(depth + 1) for _ in range(pick.randrange(4))}

    def schema(self, depth: int = 0) -> Any:
        if depth > 3:
            return self._random.choice([True, {}, {"type": self._random.choice(TYPES)}])
        found: dict[str, Any] = {}
        for _ in range(self._random.randrange(1, 4)):
            found |= self._keyword(depth + 1)
        if depth == 0 and self._random.random() < 0.3:
            found |= {"$defs": {"X": self.schema(2)}, "$ref": "#/$defs/X"}
        return found

    def _keyword(self, depth: int) -> dict[str, Any]:
        pick = self._random

        def below(count: int) -> list[Any]:
            return [self.schema(depth) for _ in range(count)]

        makers: list[Callable[[], dict[str, Any]]] = [
            lambda: {"type": pick.choice(TYPES)},
            lambda: {"enum": [self.value(2) for _ in range(pick.randrange(1, 4))]},
            lambda: {"const": self.value(2)},
            lambda: {pick.choice(LIMITS): pick.choice([0, 1, 1.5, 2, 10, -1])},
            lambda: {"multipleOf": pick.choice([1, 2, 0.1, 0.5, 3])},
            lambda: {pick.choice(SIZES): pick.randrange(4)},
            lambda: {"items": self.schema(depth)},
            lambda: {"prefixItems": below(2)},
            lambda: {"properties": dict(zip(pick.sample("abcd", 2), below(2), strict=True))},
            lambda: {"required": pick.sample("abcd", pick.randrange(1, 3))},
            lambda: {"additionalProperties": pick.choice([False, self.schema(depth)])},
            lambda: {pick.choice(["anyOf", "oneOf", "allOf"]): below(pick.randrange(1, 4))},
            lambda: {"not": self.schema(depth)},
            lambda: dict(zip(("if", "then", "else"), below(3), strict=True)),
            lambda: {"uniqueItems": True},
            lambda: {"dependentRequired": {"a": ["b"]}},
            lambda: {"propertyNames": {"enum": ["a", "b", "c"]}},
            lambda: {pick.choice(["pattern", "format"]): "date"},
        ]
        return pick.choice(makers)()


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that checks values as the page does."""
    return bundle_program("check_cases.ts", tmp_path_factory.mktemp("checker"))


@pytest.mark.parametrize("seed", range(3))
def test_the_page_refuses_nothing_that_the_service_accepts(checker: Path, seed: int) -> None:
    make = Generator(seed)
    cases = [(make.schema(), make.value()) for _ in range(CASES)]
    verdicts = run_program(checker, cases)
    known = 0
    for (schema, value), fits in zip(cases, verdicts, strict=True):
        valid = jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid(value)
        assert fits or not valid, f"refused: {json.dumps(value)} by {json.dumps(schema)}"
        if '"pattern"' in (text := json.dumps(schema)) or '"format"' in text:
            continue  # left to the service
        known += 1
        assert fits == valid, f"not noticed: {json.dumps(value)} by {text}"
    assert known > CASES / 3
