"""The prose and the names of Python files: docstrings, comments and identifiers, without string literals."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<literal>[rRbBfFuU]{0,2}(?:
        \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3} | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*'))
    |(?P<name>\b[^\W\d]\w*)""",
    re.DOTALL | re.VERBOSE,
)
"""What is needed of Python's tokens; the module `tokenize` takes five times as long."""


@dataclass(frozen=True)
class Prose:
    """A docstring or a comment: its text and the line where it begins."""

    line: int
    text: str
    is_docstring: bool


@dataclass(frozen=True)
class Scan:
    """A file's prose, the lines and names of its functions, and the words of everything but prose."""

    prose: tuple[Prose, ...]
    functions: tuple[tuple[int, str], ...]
    words: frozenset[str]


def parse(path: Path) -> ast.Module:
    """The syntax tree of a Python file. Many trees at once would make the garbage collector slow."""
    return ast.parse(path.read_text(encoding="utf-8"))


def prose_of(path: Path) -> tuple[Prose, ...]:
    """All docstrings, attribute docstrings and comments of a Python file."""
    return _scan(path).prose


def statements_of(tree: ast.Module) -> Iterator[ast.Module | ast.stmt]:
    """The module and all its statements, without their expressions: a seventh of the nodes of `ast.walk`."""
    left: list[Any] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, ast.Module | ast.stmt):
            yield node
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            left += getattr(node, name, ())


def functions_of(path: Path) -> tuple[tuple[int, str], ...]:
    """Line and name of all functions of a Python file, without properties and overloads."""
    return _scan(path).functions


def names_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every name that a Python file defines (functions, classes, parameters, variables), with its line."""
    for node in ast.walk(parse(path)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name


@cache
def _scan(path: Path) -> Scan:
    found: list[Prose] = []
    functions: list[tuple[int, str]] = []
    for node in statements_of(parse(path)):
        match node:
            # A string that stands alone documents the module, the definition or the attribute.
            case ast.Expr(value=ast.Constant(value=str(text))):
                found.append(Prose(node.lineno, text, is_docstring=True))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                decorators = " ".join(ast.unparse(d) for d in node.decorator_list)
                if not re.search(r"property|\.setter|overload", decorators):
                    functions.append((node.lineno, node.name))
    docstrings = {prose.text for prose in found}
    words: set[str] = set()
    text = path.read_text(encoding="utf-8")
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "comment":
                line = text.count("\n", 0, token.start()) + 1
                found.append(Prose(line, token[0].lstrip("# "), is_docstring=False))
            case "name":
                words.add(token[0])
            case "literal" if not _is_one_of(docstrings, token[0]):
                words.update(re.findall(r"\w+", token[0]))
    return Scan(tuple(found), tuple(functions), frozenset(words))


def _is_one_of(docstrings: set[str], literal: str) -> bool:
    try:
        return '"""' in literal and ast.literal_eval(literal) in docstrings
    except ValueError:  # an f-string is no docstring
        return False


def words_of_code(root: Path, names: Iterable[str]) -> set[str]:
    """Words that a backticked name may consist of: those of code, strings, protos, settings and file names.

    Words that only comments, docstrings and documents use do not count.
    """
    words = {*dir(builtins), *keyword.kwlist}
    for name in names:
        words.update(re.findall(r"\w+", name))
        path = root / name
        if path.suffix == ".py":
            words.update(_scan(path).words)
        elif path.suffix not in {".md", ".svg"}:
            words.update(re.findall(r"\w+", path.read_bytes().decode("utf-8", "ignore")))
    return words
