"""The page of the forms, from the table of form shapes that tests the consoles (`tests/forms`)."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.reference.tables import table

TESTS = Path(__file__).resolve().parents[2] / "tests" / "forms"
NEEDLESS = frozenset({"secret"})
"""Shapes without a place on the page: only a prompt of an older version can have them."""


def lines() -> Iterator[str]:
    """The lines of the page: a table of all shapes, then each with its type, its screen and its schema."""
    shapes = [
        shape for shape in json.loads((TESTS / "shapes.json").read_text()) if shape["name"] not in NEEDLESS
    ]
    types = Types((TESTS / "types.py").read_text())
    yield "# Forms"
    yield ""
    yield (
        "What each type looks like on a console, what people type, and the values that the answer carries. "
        "The tests play every screen on this page."
    )
    yield ""
    yield (
        "`askback console`, `askback inbox next` and `askback inbox answer` show the same screens. "
        "`askback inbox answer JOB/KEY FIELD=VALUE …` takes the same texts without asking; a type that is "
        "not a model has the one field `value`. A console of your own, and those in Go and TypeScript, send "
        "the values as JSON. The web inbox has controls for them instead, and is tested by the same table."
    )
    yield ""
    yield (
        "In a screen, `>` stands before what a person types, `!` before what is refused, and `=>` before "
        "what is shown once more before it is sent. The person is in Berlin."
    )
    yield ""
    yield from table(
        ("form", "type", "for example", "values"),
        (
            (
                f"[{words(shape)}](#{shape['name']})",
                f"`{types.expression(shape['name'])}`" if shape["name"] in types else "",
                example(shape),
                f"`{shape['values_json']}`",
            )
            for shape in shapes
        ),
    )
    for shape in shapes:
        yield from section(shape, types)


def section(shape: dict[str, Any], types: Types) -> Iterator[str]:
    """One shape: its type, its screen, further inputs, its schema."""
    name = shape["name"]
    yield f"## {name}"
    yield ""
    yield shape["about"]
    yield ""
    if name in types:
        yield "```python"
        yield from types.source(name)
        yield "```"
        yield ""
    yield "```text"
    yield from (line.rstrip() for line in (TESTS / "screens" / f"{name}.txt").read_text().splitlines())
    yield "```"
    yield ""
    if shape["inputs"]:
        yield from table(
            ("typed", "value, or why it is refused"),
            (
                (
                    f"`{one['typed']}`",
                    one["refused"]
                    if "refused" in one
                    else f"`{json.dumps(one['value'], ensure_ascii=False)}`",
                )
                for one in shape["inputs"]
            ),
        )
    form = "questions" if "questions" in shape else "schema"
    yield f"The {form}: `{json.dumps(shape[form], ensure_ascii=False)}`"
    yield ""


def words(shape: dict[str, Any]) -> str:
    """The shape's name for people."""
    return str(shape["name"]).replace("e_mail", "e-mail").replace("_", " ")


def example(shape: dict[str, Any]) -> str:
    """The text that a person types into a form of one field; empty for longer forms."""
    typed = [one for one in shape["typed"] if one]
    short = "value" in json.loads(shape["values_json"]) and len(shape["typed"]) <= 3
    return f"`{typed[-1]}`" if short and typed else ""


class Types:
    """The Python types of the shapes, as they are written in `tests/forms/types.py`."""

    def __init__(self, source: str) -> None:
        tree = ast.parse(source)
        self._text = source
        self._classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        [known] = [node.value for node in tree.body if isinstance(node, ast.AnnAssign)]
        assert isinstance(known, ast.Dict)
        self._expressions = {
            key.value: value
            for key, value in zip(known.keys, known.values, strict=True)
            if isinstance(key, ast.Constant)
        }

    def __contains__(self, name: str) -> bool:
        return name in self._expressions

    def expression(self, name: str) -> str:
        """The source of the type, for example `list[int]`."""
        return self._source_of(self._expressions[name])

    def source(self, name: str) -> Iterator[str]:
        """The classes that the type refers to, without docstrings, and then the type itself."""
        expression = self._expressions[name]
        for node in self._classes_of(expression, []):
            yield from self._without_docstring(node)
            yield ""
            yield ""
        yield self._source_of(expression)

    def _source_of(self, node: ast.expr) -> str:
        return ast.get_source_segment(self._text, node) or ast.unparse(node)

    def _without_docstring(self, node: ast.ClassDef) -> Iterator[str]:
        lines = self._text.splitlines()
        first = node.body[0]
        body = node.body[1] if ast.get_docstring(node) is not None and len(node.body) > 1 else first
        yield from lines[node.lineno - 1 : first.lineno - 1]
        yield from lines[body.lineno - 1 : node.end_lineno]

    def _classes_of(self, node: ast.AST, found: list[ast.ClassDef]) -> list[ast.ClassDef]:
        """The classes that a node refers to; a class comes after those that it refers to."""
        for part in ast.walk(node):
            named = getattr(part, "id", getattr(part, "value", None))
            known = self._classes.get(named) if isinstance(named, str) else None
            if known is not None and known not in found and known is not node:
                self._classes_of(known, found)
                if known not in found:
                    found.append(known)
        return found
