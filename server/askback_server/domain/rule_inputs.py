"""What the expression of a rule may read of a question: typed fields, never a rendered text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from askback_server.domain.content import PromptContent
from askback_server.domain.digests import digest_of
from askback_server.domain.json_text import BadFields, parse_json

MAX_SOURCE_BYTES = 4_096
"""The longest expression, in bytes of UTF-8."""
MAX_ITEMS = 1_000
"""Items of one list or object that an expression may read. With more it is not evaluated."""

VARIABLES: Mapping[str, str] = {
    "prompt.kind": "string",
    "prompt.title": "string",
    "prompt.body": "string",
    "prompt.key": "string",
    "prompt.group_key": "string",
    "prompt.labels": "map(string, string)",
    "prompt.decisions": "list(string)",
    "prompt.priority": "int",
    "prompt.blocking": "bool",
    "prompt.has_form": "bool",
    "prompt.job_type": "string",
    "prompt.requested_by": "string",
    "metadata": "map(string, dyn)",
}
"""The variables of expressions with their types. They are fields of a prompt that are stored with it, so that
a preview reads what was read when the prompt was asked."""

UNKNOWN_LATER = frozenset({"prompt.priority"})
"""Variables whose value at asking is not stored: an escalation or a rule may have changed it since."""

Inputs = Mapping[str, Any]
"""Values by the name of the variable. One that is missing is an error where an expression reads it."""
Predicate = Callable[[Inputs], bool]
"""A compiled expression. Raises ExpressionError."""


class ExpressionError(Exception):
    """An expression could not be evaluated to true or false. It is never a match."""


class BadExpression(ValueError):
    """The source of an expression is refused; the text says what is wrong, for its author."""


class Expressions(Protocol):
    """The expression language (`askback_server/expressions.py`)."""

    @property
    def version(self) -> str:
        """The library with its version; empty if none is installed."""

    def compile(self, source: str) -> Predicate:
        """Check the source and compile it. Raises BadExpression."""


def read_inputs(
    content: PromptContent,
    *,
    key: str,
    job_type: str,
    requested_by: str,
    max_bytes: int,
    is_asked: bool = True,
) -> Inputs:
    """The values of the variables for a question, before any rule has changed it.

    `is_asked` False: the content is that of a prompt that was asked earlier, and `UNKNOWN_LATER` are left
    out. Raises ExpressionError for metadata that is no object, or has more than MAX_ITEMS items in one place.
    """
    inputs: dict[str, Any] = {
        "prompt.kind": content.kind,
        "prompt.title": content.title,
        "prompt.body": content.body,
        "prompt.key": key,
        "prompt.group_key": content.group_key,
        "prompt.labels": dict(content.labels),
        "prompt.decisions": [str(option.decision) for option in content.decisions],
        "prompt.priority": content.priority,
        "prompt.blocking": content.blocking,
        "prompt.has_form": content.form is not None,
        "prompt.job_type": job_type,
        "prompt.requested_by": requested_by,
        "metadata": _read_metadata(content.metadata_json, max_bytes),
    }
    return inputs if is_asked else {k: v for k, v in inputs.items() if k not in UNKNOWN_LATER}


def _read_metadata(text: str, max_bytes: int) -> Mapping[str, Any]:
    if not text:
        return {}
    try:
        metadata = parse_json(text, field="metadata_json", max_bytes=max_bytes)
    except BadFields as error:
        raise ExpressionError(str(error)) from None
    if not isinstance(metadata, dict):
        raise ExpressionError("the metadata is not a JSON object")
    pending: list[Any] = [metadata]
    while pending:
        item = pending.pop()
        if isinstance(item, list | dict):
            if len(item) > MAX_ITEMS:
                raise ExpressionError(f"the metadata has more than {MAX_ITEMS} items in one place")
            pending.extend(item.values() if isinstance(item, dict) else item)
    return metadata


def inputs_digest(inputs: Inputs) -> str:
    """A digest of the values, for the audit."""
    return digest_of([[name, inputs[name]] for name in sorted(inputs)])
