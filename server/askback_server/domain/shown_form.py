"""The canonical form of what people see and may decide, and its digest (ADR 0057).

The form is a contract with clients, which may compute the digest too (docs/reference/prompt-form.md): the
ProtoJSON document of a PromptContent with only the shown fields, as RFC 8785 writes it. The functions below
build that document with its keys sorted, and leave out what ProtoJSON leaves out. Tests compare it with the
document that protobuf makes of the message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import rfc8785
from pydantic_core import to_json

from askback_server.domain.content import Correction, Part, PromptContent
from askback_server.domain.decisions import DecisionOption
from askback_server.domain.evolve import cached_on_argument
from askback_server.domain.forms import (
    BooleanInput,
    DateInput,
    Input,
    IntegerInput,
    MultiInput,
    NumberInput,
    Option,
    Question,
    Questions,
    SingleInput,
    TextInput,
)
from askback_server.domain.json_text import JsonObject

VERSION = "askback.prompt.v1\n"
"""The beginning of what is hashed. Another form gets another version and another field."""

_START = hashlib.sha256(VERSION.encode())


@cached_on_argument
def shown_digest(content: PromptContent) -> str:
    """The SHA-256 of VERSION and the canonical form of a normalised content: 64 hexadecimal digits."""
    digest = _START.copy()
    digest.update(canonical_form(content))
    return digest.hexdigest()


def canonical_form(content: PromptContent) -> bytes:
    """The shown fields of a normalised content as JSON text by RFC 8785."""
    doc: JsonObject = {}
    if content.body:
        doc["body"] = content.body
    if content.parts:
        doc["contents"] = [_part(part) for part in content.parts]
    if content.correction is not None:
        doc["correction"] = _correction(content.correction)
    doc["decisions"] = [_decision(option) for option in content.decisions]
    doc["kind"] = content.kind
    write: Callable[[JsonObject], bytes] = to_json
    form = content.form
    if isinstance(form, Questions):
        doc["questions"] = {"questions": [_question(question) for question in form.questions]}
        if any(isinstance(question.input, NumberInput) for question in form.questions):
            write = rfc8785.dumps  # `to_json` writes strings and integers as RFC 8785 does, but not doubles
    elif form is not None:
        doc["schemaJson"] = form.schema_json
    doc["title"] = content.title
    return write(doc)


def _part(part: Part) -> JsonObject:
    doc: JsonObject = {"contentId": part.content_id}
    if part.editable:
        doc["editable"] = True
    if part.media_type:
        doc["mediaType"] = part.media_type
    if not part.url:
        doc["text"] = part.text  # a member of a oneof: it is present where it is empty
    if part.title:
        doc["title"] = part.title
    if part.url:
        doc["url"] = part.url
    return doc


def _correction(correction: Correction) -> JsonObject:
    faults = [{"description": v.description, "field": v.field} for v in correction.violations]
    return {"key": correction.key, "violations": faults}


def _decision(option: DecisionOption) -> JsonObject:
    named = {"decision": f"DECISION_{option.decision}", "label": option.label}
    return {"commentRequired": True, **named} if option.comment_required else named


def _question(question: Question) -> JsonObject:
    asked = question.input
    doc: JsonObject = {
        "help": question.help,
        "questionId": question.question_id,
        "rationale": question.rationale,
        "required": question.required,
        "title": question.title,
        asked.oneof: _INPUTS[asked.__class__](asked),
    }
    # The type of the input decides where its key is. Without values it is an empty object, which stays.
    return {key: value for key, value in sorted(doc.items()) if value or key == asked.oneof}


def _boolean(asked: BooleanInput) -> JsonObject:
    return {} if asked.default is None else {"defaultValue": asked.default}


def _single(asked: SingleInput) -> JsonObject:
    doc: JsonObject = {"allowOther": True} if asked.allow_other else {}
    if asked.default is not None:
        doc["defaultValue"] = asked.default
    doc["options"] = [_option(option) for option in asked.options]
    return doc


def _multi(asked: MultiInput) -> JsonObject:
    doc: JsonObject = {"allowOther": True} if asked.allow_other else {}
    if asked.default:
        doc["defaultValues"] = asked.default
    if asked.max_items is not None:
        doc["maxItems"] = asked.max_items
    if asked.min_items is not None:
        doc["minItems"] = asked.min_items
    doc["options"] = [_option(option) for option in asked.options]
    return doc


def _option(option: Option) -> JsonObject:
    doc: JsonObject = {"description": option.description} if option.description else {}
    if option.recommended:
        doc["recommended"] = True
    if option.title:
        doc["title"] = option.title
    doc["value"] = option.value
    return doc


def _text(asked: TextInput) -> JsonObject:
    doc: JsonObject = {} if asked.default is None else {"defaultValue": asked.default}
    if asked.max_length is not None:
        doc["maxLength"] = asked.max_length
    if asked.min_length is not None:
        doc["minLength"] = asked.min_length
    if asked.multiline:
        doc["multiline"] = True
    if asked.pattern:
        doc["pattern"] = asked.pattern
    return doc


def _integer(asked: IntegerInput) -> JsonObject:
    return {name: str(value) for name, value in _bounds(asked)}  # ProtoJSON writes 64 bits as a string


def _number(asked: NumberInput) -> JsonObject:
    return {name: float(value) for name, value in _bounds(asked)}


def _bounds(asked: IntegerInput | NumberInput) -> list[tuple[str, float]]:
    given = (("defaultValue", asked.default), ("maximum", asked.maximum), ("minimum", asked.minimum))
    return [(name, value) for name, value in given if value is not None]


def _date(asked: DateInput) -> JsonObject:
    doc: JsonObject = {} if asked.default is None else {"defaultValue": asked.default}
    if asked.maximum:
        doc["maximum"] = asked.maximum
    if asked.minimum:
        doc["minimum"] = asked.minimum
    return doc


_INPUTS: Mapping[type[Input], Callable[[Any], JsonObject]] = {
    BooleanInput: _boolean,
    SingleInput: _single,
    MultiInput: _multi,
    TextInput: _text,
    IntegerInput: _integer,
    NumberInput: _number,
    DateInput: _date,
}
