"""Finds the fields that the conditions of a JSON Schema show for the values of an object.

The conditions (`if`, `dependentSchemas`, `dependentRequired`) are judged by jsonschema-rs, which judges the
answers in the service too. It comes with the extra `tui`. Without it all conditional fields are offered, and
none is required: the service judges the answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from askback.terminal.fields import Entry
from askback.terminal.schema_shapes import (
    conditions_of,
    mapping_of,
    merge_schemas,
    simplify,
    without_conditions,
)

if TYPE_CHECKING:
    import jsonschema_rs

_MAX_ROUNDS = 10
"""The maximum depth of conditions within the branches of others."""
_MAX_CHAIN = 100
"""The maximum number of conditions of which each depends on a field that the one before shows."""
_MAX_BRANCHES = 1_000
"""The maximum number of branches that are searched for properties."""
_REGEX_BYTES = 1 << 18
"""The maximum size of a compiled regular expression, as in the service."""
_DOCUMENT = "urn:askback:form"


class Judge:
    """Judges the conditions of one schema."""

    def __init__(self, root: dict[str, Any], library: Any) -> None:
        self._root = root
        self._library = library
        self._compiler = library.validator_cls_for({k: v for k, v in root.items() if k == "$schema"})
        self._regex = library.RegexOptions(size_limit=_REGEX_BYTES, dfa_size_limit=_REGEX_BYTES)
        self._validators: dict[str, jsonschema_rs.Validator | None] = {}

    @classmethod
    def of(cls, root: dict[str, Any]) -> Judge | None:
        """A judge for the schema; None if the library is not installed."""
        try:
            import jsonschema_rs
        except ImportError:
            return None
        return cls(root, jsonschema_rs)

    def holds(self, test: Any, values: Mapping[str, Any]) -> bool:
        """Whether the values match the test, which may refer to other parts of the schema."""
        text = json.dumps(test, default=repr)
        if text not in self._validators:
            self._validators[text] = self._compile(test, refers="$" in text)
        validator = self._validators[text]
        try:
            return validator is None or validator.is_valid(_plain_numbers(values))
        except ValueError:
            return False  # a text with half a character: the service takes no such answer

    def _compile(self, test: Any, *, refers: bool) -> jsonschema_rs.Validator | None:
        """The validator of a test; None for an invalid one, which is left to the service."""
        options: dict[str, Any] = {}
        schema: Any = test
        try:
            if refers:
                options["registry"] = self._library.Registry([(_DOCUMENT, {**self._root, "": test})])
                schema = {"$ref": f"{_DOCUMENT}#/"}
            return self._compiler(  # type: ignore[no-any-return]
                schema, pattern_options=self._regex, validate_formats=True, offline=True, **options
            )
        except ValueError:
            return None


def _plain_numbers(value: Any) -> Any:
    """The value with numbers that the library reads with all their digits."""
    if isinstance(value, Mapping):
        return {name: _plain_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain_numbers(item) for item in value]
    spelled = isinstance(value, float) and type(value) is not float
    return Decimal(str(value)) if spelled else value


class ConditionalFields:
    """The fields of an object with conditions. They are built once for each outcome of the conditions."""

    def __init__(
        self,
        part: dict[str, Any],
        root: dict[str, Any],
        fixed: Mapping[str, Any],
        build: Callable[[dict[str, Any]], tuple[Entry, ...]],
        judge: Judge,
    ) -> None:
        self._part = part
        self._root = root
        self._fixed = fixed
        self._build = build
        self._judge = judge
        self._built: dict[tuple[bool, ...], tuple[Entry, ...]] = {}

    def __call__(self, values: Mapping[str, Any]) -> tuple[Entry, ...]:
        """The fields that the values show. Only values of fields that are shown count."""
        shown = self._fields_for({})
        for _ in range(_MAX_CHAIN):
            names = {entry.key for entry in shown}
            found = self._fields_for({name: value for name, value in values.items() if name in names})
            if found is shown:
                break
            shown = found
        return shown

    def _fields_for(self, values: Mapping[str, Any]) -> tuple[Entry, ...]:
        effective, outcomes = self._apply({**self._fixed, **values})
        if outcomes not in self._built:
            self._built[outcomes] = self._build(effective)
        return self._built[outcomes]

    def _apply(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[bool, ...]]:
        """The schema with the branches of its conditions that apply to the values, and which those are."""
        found, outcomes = self._part, list[bool]()
        for _ in range(_MAX_ROUNDS):
            if not (conditions := conditions_of(found)):
                break
            held = [self._judge.holds(one.test, values) for one in conditions]
            outcomes += held
            chosen = [
                simplify(one.if_so if holds else one.if_not, self._root)[0]
                for one, holds in zip(conditions, held, strict=True)
            ]
            found = merge_schemas(without_conditions(found), *chosen)
        return found, tuple(outcomes)


def conditional_properties(part: dict[str, Any], root: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The names and schemas of the properties in all branches of an object's conditions."""
    waiting = [part]
    for _ in range(_MAX_BRANCHES):
        if not waiting:
            return
        for one in conditions_of(waiting.pop(0)):
            for branch in (one.if_so, one.if_not):
                found, _ = simplify(branch, root)
                waiting.append(found)
                for name, item in mapping_of(found, "properties").items():
                    if item is not False:
                        yield name, item
