"""The page and the terminals show the same fields for the same values of a form with conditions."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from askback.terminal.fields import is_object
from askback.terminal.schema_entries import schema_entry
from tests.support.page_packages import bundle_program, run_program

CASES = 500
VALUES = {"boolean": [True, False], "integer": [0, 1, 2, 9007199254740993], "string": ["x", "y"]}


class Generator:
    """Random objects with conditions on fields that come earlier, and values for them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._types: dict[str, str] = {}

    def case(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """A schema, and values for some of its fields."""
        self._types = {}
        schema = {"type": "object", **self._part(depth=0)}
        values = {
            name: self._random.choice(VALUES[kind])
            for name, kind in self._types.items()
            if self._random.random() < 0.7
        }
        return schema, values

    def _part(self, depth: int) -> dict[str, Any]:
        """New properties with conditions, and sometimes another title for a property that is always there."""
        pick = self._random
        properties: dict[str, Any] = dict(self._property() for _ in range(pick.randint(1, 2)))
        part: dict[str, Any] = {"properties": properties}
        if pick.random() < 0.5:
            part["required"] = [pick.choice(list(self._types))]
        if depth and pick.random() < 0.2:
            properties["f0"] = {"title": "Another"}
        if depth < 3:
            found = [self._conditions(depth + 1) for _ in range(pick.randint(0 if depth else 1, 2))]
            part |= found[0] if len(found) == 1 else {"allOf": found} if found else {}
        return part

    def _property(self) -> tuple[str, Any]:
        name = f"f{len(self._types)}"
        self._types[name] = self._random.choice(list(VALUES))
        return name, {"type": self._types[name]}

    def _conditions(self, depth: int) -> dict[str, Any]:
        pick = self._random
        name = pick.choice(list(self._types))
        test: dict[str, Any] = {"properties": {name: self._test(name)}}
        if pick.random() < 0.7:
            test["required"] = [name]
        makers: list[Callable[[], dict[str, Any]]] = [
            lambda: {"if": test, "then": self._part(depth), "else": self._part(depth)},
            lambda: {"if": {"not": test}, "then": self._part(depth)},
            lambda: {"if": test, "else": self._part(depth)},
            lambda: {"dependentSchemas": {name: self._part(depth)}},
            lambda: {"dependentRequired": {name: [pick.choice(list(self._types))]}},
        ]
        return pick.choice(makers)()

    def _test(self, name: str) -> dict[str, Any]:
        kind = self._types[name]
        value = self._random.choice(VALUES[kind])
        return {"minimum": value} if kind == "integer" and self._random.random() < 0.5 else {"const": value}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that fills in forms as the page does."""
    return bundle_program("shown_fields.ts", tmp_path_factory.mktemp("shown"))


@pytest.mark.parametrize("seed", range(4))
def test_the_same_fields_are_shown(program: Path, seed: int) -> None:
    make = Generator(seed)
    cases = [make.case() for _ in range(CASES)]
    several = 0
    for (schema, values), found in zip(cases, run_program(program, cases), strict=True):
        form = schema_entry(schema)
        assert is_object(form)
        shown = [[entry.key, entry.required] for entry in form.fields_for(values)]
        assert shown == found, f"{json.dumps(values)} by {json.dumps(schema)}"
        several += len(shown) > len(schema["properties"])
    assert several > CASES / 3
