"""The expressions of rules: CEL (https://cel.dev), by the library cel-expr-python. No other module knows it.

Traps of the library, which this module hides:

- An error at evaluation is a value of the type ERROR, whose `value()` is a text and so true. The type is
  compared with BOOL first. Some errors are raised instead (the library's budget of 10,000 iterations).
- An expression of the type DYN compiles. Only BOOL is accepted.
- There is no budget for the length of a source, hence MAX_SOURCE_BYTES and `_macro_depth`.

The library is optional (`pip install "askback[rules]"`). Without it no expression can be saved, and those
that are stored are errors, never matches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from askback_server.domain.rule_inputs import (
    MAX_SOURCE_BYTES,
    VARIABLES,
    BadExpression,
    ExpressionError,
    Expressions,
    Inputs,
    Predicate,
)

_PACKAGE = "cel-expr-python"
INSTALL = 'expressions need the library cel-expr-python: pip install "askback[rules]" at each replica'
"""What to do where the library is missing."""
MAX_MACRO_DEPTH = 2
"""How deep macros (`all`, `exists`, `map`, …) may be nested: one in another one."""

_TOKENS = re.compile(
    r"""//[^\n]*|[rRbB]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    r"""|\.\s*(?P<macro>all|exists|exists_one|existsOne|map|filter|transformList|transformMap)\s*\(|[()]""",
    re.DOTALL,
)
_RAW = re.compile(r"""[bB]?[rR][bB]?["']""")


class Cel:
    """The Expressions port by cel-expr-python."""

    def __init__(self) -> None:
        """Raises ImportError if the library is not installed."""
        self._cel: Any = import_module("cel_expr_python.cel")
        types = self._cel.Type
        known: Mapping[str, Any] = {
            "string": types.STRING,
            "int": types.INT,
            "bool": types.BOOL,
            "list(string)": types.List(types.STRING),
            "map(string, string)": types.Map(types.STRING, types.STRING),
            "map(string, dyn)": types.Map(types.STRING, types.DYN),
        }
        self._env = self._cel.NewEnv(variables={name: known[type] for name, type in VARIABLES.items()})
        self.version = f"{_PACKAGE} {version(_PACKAGE)}"

    def compile(self, source: str) -> Predicate:
        """See Expressions."""
        size = len(source.encode("utf-8", "replace"))
        if size > MAX_SOURCE_BYTES:
            raise BadExpression(f"is {size} bytes long; at most {MAX_SOURCE_BYTES} are allowed")
        if _RAW.search(source):
            raise BadExpression("must not have raw strings (r'…')")
        try:
            compiled = self._env.compile(source)
        except Exception as error:  # the library raises RuntimeError, and others for texts that are no UTF-8
            raise BadExpression(f"is not valid: {_first_line(error)}") from None
        bool_type = self._cel.Type.BOOL
        if (found := compiled.return_type()) != bool_type:
            raise BadExpression(
                f"must be a condition (BOOL) and is {found.name()}: compare it, for example `… == true`"
            )
        if _macro_depth(source) > MAX_MACRO_DEPTH:
            raise BadExpression("has more than one macro (all, exists, map, …) in another one")

        def evaluate(inputs: Inputs) -> bool:
            try:
                result = compiled.eval(data=inputs)
                if result.type() != bool_type:
                    raise ExpressionError(str(result.value()))
                return result.value() is True
            except ExpressionError:
                raise
            except Exception as error:
                raise ExpressionError(_first_line(error)) from None

        return evaluate


class Missing:
    """The Expressions port where the library is not installed."""

    version = ""

    def compile(self, source: str) -> Predicate:
        """Refuse it. Raises BadExpression."""
        raise BadExpression(f"cannot be checked: {INSTALL}")


def load_expressions() -> Expressions:
    """The expression language of this installation."""
    try:
        return Cel()
    except (ImportError, PackageNotFoundError):
        return Missing()


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0].removeprefix("INVALID_ARGUMENT: ERROR: <input>:")


def _macro_depth(source: str) -> int:
    """How deep macros are nested in a valid source."""
    open_calls: list[bool] = []
    deepest = 0
    for token in _TOKENS.finditer(source):
        text = token.group()
        if text == ")":
            if open_calls:
                open_calls.pop()
        elif text == "(" or token.group("macro"):
            open_calls.append(text != "(")
            deepest = max(deepest, sum(open_calls))
    return deepest
