"""JSON Schemas from users: checked and compiled once, and validated within bounded time.

Three constructs could hang the service or leak from it, and are refused: references to other documents,
regular expressions that backtrack (only the linear-time engine is used), and references that recurse or fan
out. Fan-out doubles the time of every validation with each doubling `$ref`; listing the errors of a
recursive schema may double it with each level of the value (measured: 42 s at a depth of 18).

`unevaluatedProperties` and `unevaluatedItems` visit the keywords below them a second time, so nested ones
more than double the time with each level (measured: 66 s at 22 levels). They count three times.

Listing the errors of a valid schema can be expensive too: each failed branch of an `anyOf` keeps a copy of
the value (measured: 99 s for 100 branches and a list of 80,000). So errors are listed only if the schema's
cost times the value's weight is small; otherwise the violation does not say where the value is wrong.

The validator holds the GIL while it runs. `is_quick` estimates the time first; validations that may be slow
run in a child process (`engine/judges.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import jsonschema_rs
from jsonschema_rs import ValidationErrorKind as Kind

from askback_server.domain.json_text import (
    MAX_VIOLATIONS,
    BadFields,
    JsonObject,
    Violation,
    parse_json,
    pointer,
)
from askback_server.domain.schema_cost import DIVISION_COST, Survey, bad_schema, weight

DIALECTS = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
)
MAX_WORK = 200_000_000
"""Maximum cost of a validation: parts of the schema times values, about 0.6 s."""
MAX_QUICK_WORK = 2_000_000
"""Maximum cost of a validation in the event loop: some milliseconds."""
_MAX_LISTING = 100_000
"""The schema's cost times the value's weight: at most about a second of listing errors."""
_MAX_QUICK_LISTING = 5_000
"""In the same unit, in the event loop."""
_UNLIMITED = 1 << 30
_LONG_NUMBER = re.compile(r"\d{30}|\d[eE][+-]?\d{2}")
"""A number with enough digits to make `multipleOf` slow."""
_REGEX = jsonschema_rs.RegexOptions(size_limit=1 << 18, dfa_size_limit=1 << 18)

_TYPES = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def join_choices(values: tuple[str, ...]) -> str:
    """The choices as one text, shortened after the tenth."""
    text = ", ".join(value if len(value) <= 40 else value[:39] + "…" for value in values[:10])
    return text if len(values) <= 10 else f"{text} and {len(values) - 10} more"


@lru_cache(maxsize=256)
def text_pattern(pattern: str) -> jsonschema_rs.Validator | None:
    """A matcher that searches a string for the pattern, as JSON Schema does; None for an invalid pattern."""
    try:
        return jsonschema_rs.Draft202012Validator(
            {"type": "string", "pattern": pattern}, pattern_options=_REGEX, offline=True
        )
    except jsonschema_rs.ValidationError:
        return None


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """A validator, and the estimated cost of a validation."""

    validator: jsonschema_rs.Validator
    cost: int
    """About how many subschemas may be visited for one value."""
    divisions: int = 0
    """How many `multipleOf` and fractional bounds may be checked for one value."""
    per_character: int = 0
    """The cost of its regular expressions, formats and similar keywords for each character of a value."""

    def work(self, values_json: str) -> int:
        """The estimated parts times values, from the text alone; `MAX_WORK` bounds it."""
        count = values_json.count
        return self.cost * (1 + count(",") + count(":") + count("[") + count("{"))

    def is_quick(self, values_json: str) -> bool:
        """Whether validating the values takes some milliseconds at most."""
        work = self.work(values_json)
        divided = work // self.cost
        if self.divisions and _LONG_NUMBER.search(values_json):
            divided += len(values_json)
        extra = self.divisions * DIVISION_COST * divided + self.per_character * len(values_json)
        return work + extra <= MAX_QUICK_WORK


@lru_cache(maxsize=128)
def compile_schema(schema_json: str) -> CompiledSchema:
    """Check and compile the schema of a form; cached. Raises BadFields on `schema_json`."""
    schema = parse_json(schema_json, field="schema_json", max_bytes=_UNLIMITED)
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise bad_schema('must be a JSON Schema whose "type" is "object"')
    dialect = schema.get("$schema", DIALECTS[0])
    if not isinstance(dialect, str) or dialect.removesuffix("#") not in DIALECTS:
        raise bad_schema("names an unknown $schema; known are: " + ", ".join(DIALECTS))
    survey = Survey(schema)
    cost = survey.run()
    try:
        validator = jsonschema_rs.validator_for(
            schema, pattern_options=_REGEX, validate_formats=True, offline=True, mask="the value"
        )
    except jsonschema_rs.ValidationError as error:
        where = pointer(*error.instance_path)
        raise bad_schema(
            f"is not a valid JSON Schema{' at ' + where if where else ''}: {error.message}"
        ) from None
    return CompiledSchema(validator, cost.parts, cost.divisions, cost.per_character)


def schema_violations(
    schema_json: str, value: JsonObject, field: str, *, quick: bool = False
) -> tuple[Violation, ...] | None:
    """The violations of a value; None if listing them may take long and `quick` is set."""
    try:
        schema = compile_schema(schema_json)
    except BadFields as bad:
        return bad.violations
    if schema.validator.is_valid(value):
        return ()
    work = schema.cost * weight(value)
    if work > _MAX_LISTING:
        return (Violation(field, "does not match the form's schema; it is too large to say where"),)
    if quick and work > _MAX_QUICK_LISTING:
        return None
    errors = islice(schema.validator.iter_errors(value), MAX_VIOLATIONS)
    return tuple(violation for error in errors for violation in _describe(error, field))


def _describe(error: jsonschema_rs.ValidationError, field: str) -> Iterator[Violation]:
    at = field + pointer(*error.instance_path)
    match error.kind:
        case Kind.Required(name):
            yield Violation(at + pointer(name), "is required")
        case Kind.AdditionalProperties(names) | Kind.UnevaluatedProperties(names):
            for name in names[:MAX_VIOLATIONS]:
                yield Violation(at + pointer(name), "is not a field of this form")
        case Kind.Type(types):
            yield Violation(at, "must be " + " or ".join(_TYPES.get(name, name) for name in types))
        case Kind.Enum(options):
            yield Violation(
                at, "must be one of: " + join_choices(tuple(_plain(option) for option in options))
            )
        case Kind.Constant(expected):
            yield Violation(at, "must be " + _plain(expected))
        case Kind.OneOfNotValid(branches) | Kind.AnyOf(branches) if constants := _constants(branches):
            yield Violation(at, "must be one of: " + join_choices(constants))
        case Kind.FalseSchema():
            unknown = error.schema_path[-1:] == ["additionalProperties"]
            yield Violation(at, "has fields that are not in this form" if unknown else "is not allowed")
        case Kind.Format(name):
            yield Violation(at, f"is not a valid {name}")
        case _:
            yield Violation(at, error.message)


def _constants(branches: list[list[jsonschema_rs.ValidationError]]) -> tuple[str, ...]:
    """The choices, if every branch is one constant; else empty."""
    kinds = [branch[0].kind if len(branch) == 1 else None for branch in branches]
    constants = tuple(_plain(kind.expected_value) for kind in kinds if isinstance(kind, Kind.Constant))
    return constants if len(constants) == len(branches) else ()


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
