"""The prose and the names of Python files: docstrings, comments and identifiers, without string literals."""

from __future__ import annotations

import ast
import builtins
import io
import keyword
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Prose:
    """A docstring or a comment: its text and the line where it begins."""

    line: int
    text: str
    is_docstring: bool


@cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def prose_of(path: Path) -> tuple[Prose, ...]:
    """All docstrings, attribute docstrings and comments of a Python file."""
    return _scan(path)[0]


def functions_of(path: Path) -> Iterator[Function]:
    """All functions of a Python file, without properties and overloads."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = " ".join(ast.unparse(d) for d in node.decorator_list)
            if not re.search(r"property|\.setter|overload", decorators):
                yield node


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


def _docstrings(tree: ast.Module) -> Iterator[Prose]:
    for node in ast.walk(tree):
        for body in (getattr(node, "body", None), getattr(node, "orelse", None)):
            if isinstance(body, list):
                for statement in body:
                    # A string that stands alone documents the module, the definition or the attribute.
                    match statement:
                        case ast.Expr(value=ast.Constant(value=str(text))):
                            yield Prose(statement.lineno, text, is_docstring=True)


@cache
def _scan(path: Path) -> tuple[tuple[Prose, ...], frozenset[str]]:
    """A file's prose, and the words of everything else."""
    found = list(_docstrings(parse(path)))
    docstrings = {prose.text for prose in found}
    words: set[str] = set()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            found.append(Prose(token.start[0], token.string.lstrip("# "), is_docstring=False))
        elif token.type == tokenize.NAME:
            words.add(token.string)
        elif token.type == tokenize.STRING and not _is_one_of(docstrings, token.string):
            words.update(re.findall(r"\w+", token.string))
    return tuple(found), frozenset(words)


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
            words.update(_scan(path)[1])
        elif path.suffix not in {".md", ".svg"}:
            words.update(re.findall(r"\w+", path.read_bytes().decode("utf-8", "ignore")))
    return words
