"""The expressions of rules: CEL (https://cel.dev), by the library cel-expr-python. No other module knows it.

Traps of the library, which this module hides:

- An error at evaluation is a value of the type ERROR, whose `value()` is a text and so true. The type is
  compared with BOOL first. Some errors are raised instead (the library's budget of 10,000 iterations).
- An expression of the type DYN compiles. Only BOOL is accepted.
- There is no budget for the length of a source, hence MAX_SOURCE_BYTES and the count of nested macros.
- There is none for time either: 10,000 iterations over a long text hold the process up for a minute, and one
  regular expression with counted repetitions for seconds. Hence MAX_REPEAT and MAX_WORK.

The library is optional (`pip install "askback[rules]"`). Without it no expression can be saved, and those
that are stored are errors, never matches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
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

PATTERN = "must have the pattern of matches as one text, so that its cost is known: `….matches('…')`"
MAX_REPEAT = 100
"""The sum of the numbers in counted repetitions (`{2,5}`) of one regular expression."""
MAX_WORK = 250_000_000
"""The most work of one evaluation: bytes of text, times iterations, times what each byte may cost. About a
second at worst."""
_ITERATIONS = 10_000
"""The library's own budget."""
_CHEAP = 300
"""What a byte may cost at most where no prompt is large enough for MAX_WORK without a macro."""

_GAP = r"(?:\s|//[^\n]*\n)*"
_TOKENS = re.compile(
    r"""//[^\n]*|(?P<prefix>[rRbB]{0,2})"""
    r"""(?P<text>\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    rf"""|\.{_GAP}(?P<macro>all|exists|exists_one|existsOne|map|filter|transformList|transformMap){_GAP}\("""
    rf"""|(?P<dot>\.{_GAP})?\b(?P<regex>matches){_GAP}\(|(?P<operator>[+,]|\b(?:contains|startsWith|endsWith)\b)|[()]""",
    re.DOTALL,
)
_COUNTED = re.compile(r"\{(\d+)(?:,(\d*))?\}")


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
        self._latest: tuple[Inputs, Any] | None = None

    def compile(self, source: str) -> Predicate:
        """See Expressions."""
        size = len(source.encode("utf-8", "replace"))
        if size > MAX_SOURCE_BYTES:
            raise BadExpression(f"is {size} bytes long; at most {MAX_SOURCE_BYTES} are allowed")
        shape = _read(source)
        try:
            compiled = self._env.compile(source)
        except Exception as error:  # the library raises RuntimeError, and others for texts that are no UTF-8
            raise BadExpression(f"is not valid: {_first_line(error)}") from None
        bool_type = self._cel.Type.BOOL
        if (found := compiled.return_type()) != bool_type:
            raise BadExpression(
                f"must be a condition (BOOL) and is {found.name()}: compare it, for example `… == true`"
            )
        if shape.depth > MAX_MACRO_DEPTH:
            raise BadExpression("has more than one macro (all, exists, map, …) in another one")

        def evaluate(inputs: Inputs) -> bool:
            if shape.is_costly and shape.work(inputs) > MAX_WORK:
                raise ExpressionError("the texts and lists are too large for this expression")
            try:
                activation = self._env.Activation(inputs) if shape.makes_values else self._activate(inputs)
                result = compiled.eval(activation)
                if result.type() != bool_type:
                    raise ExpressionError(str(result.value()))
                return result.value() is True
            except ExpressionError:
                raise
            except Exception as error:
                raise ExpressionError(_first_line(error)) from None

        return evaluate

    def _activate(self, inputs: Inputs) -> Any:
        """The inputs as the library reads them. It converts the metadata, for up to 5 ms, once for each
        activation; all rules of a namespace are evaluated on the same inputs."""
        latest = self._latest
        if latest is None or latest[0] is not inputs:
            latest = self._latest = inputs, self._env.Activation(inputs)
        return latest[1]


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


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the source of an expression says of its cost."""

    depth: int
    """How deep macros are nested."""
    commas: int
    """No list that the source writes has more items than commas, and one."""
    joins: int
    """How many `+` join lists, at most."""
    per_byte: int
    """What each byte of the texts may cost in one iteration, relative to a comparison."""
    names: tuple[str, ...]
    """The variables that it may read."""

    @property
    def is_costly(self) -> bool:
        """Whether it may do more than read each text some times."""
        return self.depth > 0 or self.per_byte > _CHEAP

    @property
    def makes_values(self) -> bool:
        """Whether it may make large texts and lists. An activation keeps them as long as it lives."""
        return self.depth > 0 or self.joins > 0

    def work(self, inputs: Inputs) -> int:
        """The most work of an evaluation with these inputs."""
        size, widest = _measure([inputs[name] for name in self.names if name in inputs])
        iterations, items = 1, 1 + self.commas + widest * (1 + self.joins)
        for _ in range(self.depth):
            iterations = min(_ITERATIONS, iterations * items)
        return size * iterations * self.per_byte


def _measure(pending: list[Any]) -> tuple[int, int]:
    """The bytes of all texts, roughly, and the items of the longest list or object. It empties the list."""
    size, widest = 0, 0
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            size += len(item)
        elif isinstance(item, list | dict):
            widest = max(widest, len(item))
            pending.extend(item.values() if isinstance(item, dict) else item)
            if isinstance(item, dict):
                size += sum(map(len, item))
    return size, widest


def _read(source: str) -> _Shape:
    """The shape of a source that is valid. Raises BadExpression for what the shape of is not known."""
    open_calls: list[bool] = []
    deepest, commas, joins, per_byte, is_pattern, is_whole = 0, 0, 0, 1, False, True
    for token in _TOKENS.finditer(source):
        text = token.group()
        if token["text"] is not None and "r" in token["prefix"].lower():
            raise BadExpression("must not have raw strings (r'…')")
        if is_pattern and not text.startswith("//"):
            if token["text"] is None:
                raise BadExpression(PATTERN)
            per_byte += _pattern_cost(token["text"])
            is_pattern, is_whole = False, False
        elif not is_whole and not text.startswith("//"):
            if text != ")":
                raise BadExpression(PATTERN)
            is_whole = True
        if token["regex"] is not None:
            if token["dot"] is None:
                raise BadExpression(PATTERN)
            is_pattern = True
        if token["operator"] is not None:
            commas, joins, per_byte = commas + (text == ","), joins + (text == "+"), per_byte + (text != ",")
        if text == ")":
            if open_calls:
                open_calls.pop()
        elif text.endswith("("):
            open_calls.append(token["macro"] is not None)
            deepest = max(deepest, sum(open_calls))
    return _Shape(
        deepest, commas, joins, per_byte, tuple(n for n in VARIABLES if n.rpartition(".")[2] in source)
    )


def _pattern_cost(pattern: str) -> int:
    repeats = sum(int(n) for found in _COUNTED.finditer(pattern) for n in found.groups() if n)
    if repeats > MAX_REPEAT:
        raise BadExpression(f"has a regular expression with more than {MAX_REPEAT} counted repetitions")
    return 3 * (len(pattern) + repeats)
