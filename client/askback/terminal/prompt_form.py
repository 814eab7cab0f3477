"""The form of a prompt: its questions or its JSON Schema as an entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from askback._model.prompts import PromptInfo
from askback._model.violations import place_in_values
from askback.terminal.fields import Bounds, Choice, Entry, Field, Group, Kind, is_object
from askback.terminal.schema_entries import schema_entry
from askback.terminal.verdicts import field_of
from askback.v1 import prompt_pb2 as pb


def form_of(prompt: PromptInfo) -> Entry | None:
    """The prompt's form, with what the job did not accept at its fields; None for a prompt without a form. A
    schema that cannot be shown is one JSON field."""
    form = _plain_form(prompt)
    for violation in prompt.corrections:
        place = place_in_values(violation.field)
        if form is not None and place is not None:
            form = _with_fault(form, place, violation.description)
    return form


def other_faults(prompt: PromptInfo, form: Entry | None) -> list[str]:
    """What the job did not accept and no field of the prompt's form, as `form_of` returns it, shows."""
    elsewhere = [
        f"{field_of(violation.field)}: {violation.description}"
        for violation in prompt.corrections
        if form is None or place_in_values(violation.field) is None
    ]
    return [*(form.faults if is_object(form) else ()), *elsewhere]


def _with_fault(entry: Entry, place: Sequence[str], text: str) -> Entry:
    """The entry with a fault at the innermost entry of the place. An item of a list is named in the text."""
    if isinstance(entry, Group) and place:
        keys = [str(n) if entry.sequence else item.key for n, item in enumerate(entry.fields)]
        if place[0] in keys:
            marked = _with_fault(entry.fields[keys.index(place[0])], place[1:], text)

            def put(fields: tuple[Entry, ...]) -> tuple[Entry, ...]:
                return tuple(marked if field.path == marked.path else field for field in fields)

            choose = entry.choose
            return replace(
                entry,
                fields=put(entry.fields),
                choose=None if choose is None else lambda value: put(choose(value)),
            )
    inside = ", ".join(str(int(part) + 1) if part.isdecimal() else part for part in place)
    return replace(entry, faults=(*entry.faults, f"{inside}: {text}" if inside else text))


def _plain_form(prompt: PromptInfo) -> Entry | None:
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
