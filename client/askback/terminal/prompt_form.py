"""The form of a prompt: its questions or its JSON Schema as an entry."""

from __future__ import annotations

from typing import Any

from askback._model.prompts import PromptInfo
from askback.terminal.fields import Bounds, Choice, Entry, Field, Group, Kind
from askback.terminal.schema_entries import schema_entry
from askback.v1 import prompt_pb2 as pb


def form_of(prompt: PromptInfo) -> Entry | None:
    """The prompt's form; None for a prompt without one. A schema that cannot be shown is one JSON field."""
    if prompt.questions:
        fields = tuple(_of_question(question) for question in prompt.questions)
        return Group(path=(), title="The values", required=True, fields=fields)
    try:
        schema = prompt.schema
    except ValueError:
        schema = {}
    return None if schema is None else schema_entry(schema)


def _of_question(question: pb.Question) -> Field:
    name = question.WhichOneof("input")
    kind = Kind(name) if name else Kind.JSON  # an input type of a newer server
    given: dict[str, Any] = {}
    asked: Any = getattr(question, name) if name else None
    if kind in (Kind.SINGLE, Kind.MULTI):
        given["choices"] = tuple(
            Choice(o.value, o.title, o.description, o.recommended) for o in asked.options
        )
        given["allow_other"] = asked.allow_other
    if kind is Kind.MULTI:
        given["bounds"] = Bounds(_of(asked, "min_items"), _of(asked, "max_items"))
        if asked.default_values:
            given["default"] = list(asked.default_values)
    elif asked is not None and asked.HasField("default_value"):
        given["default"] = asked.default_value
    if kind is Kind.TEXT:
        given["bounds"] = Bounds(_of(asked, "min_length"), _of(asked, "max_length"))
        given |= {"pattern": asked.pattern, "multiline": asked.multiline}
    elif kind in (Kind.INTEGER, Kind.NUMBER):
        given["bounds"] = Bounds(_of(asked, "minimum"), _of(asked, "maximum"))
    elif kind is Kind.DATE:
        given["bounds"] = Bounds(asked.minimum or None, asked.maximum or None)
    return Field(
        path=(question.question_id,),
        kind=kind,
        title=question.title,
        help=question.help,
        rationale=question.rationale,
        required=question.required,
        **given,
    )


def _of(message: Any, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None
