"""Forms as JSON values: part of the document of a content, and of its digest."""

from __future__ import annotations

from collections.abc import Mapping

from askback_server.domain.evolve import cached_on_argument, fields_of
from askback_server.domain.forms import (
    BooleanInput,
    DateInput,
    Form,
    Input,
    IntegerInput,
    MultiInput,
    NumberInput,
    Option,
    Question,
    Questions,
    SchemaForm,
    SingleInput,
    TextInput,
)
from askback_server.domain.json_text import Json, JsonObject

_INPUTS: Mapping[str, type[Input]] = {
    cls.oneof: cls
    for cls in (BooleanInput, SingleInput, MultiInput, TextInput, IntegerInput, NumberInput, DateInput)
}


def form_to_doc(form: Form) -> JsonObject:
    """The form with all its fields, also those at their default."""
    return _questions_to_doc(form) if isinstance(form, Questions) else {"schema_json": form.schema_json}


@cached_on_argument
def _questions_to_doc(form: Questions) -> JsonObject:
    return {"questions": [_question_to_doc(q) for q in form.questions]}


def form_from_doc(doc: Mapping[str, Json]) -> Form:
    """The form of which `form_to_doc` made these values."""
    if "schema_json" in doc:
        return SchemaForm(doc["schema_json"])
    return Questions(tuple(_question_from_doc(q) for q in doc["questions"]))


def _question_to_doc(question: Question) -> JsonObject:
    given = fields_of(question.input)
    if "options" in given:
        given["options"] = [fields_of(option) for option in given["options"]]
    return {**fields_of(question), "input": {"type": question.input.oneof, **given}}


def _question_from_doc(doc: Mapping[str, Json]) -> Question:
    fields = dict(doc["input"])
    cls = _INPUTS[fields.pop("type")]
    if "options" in fields:
        fields["options"] = tuple(Option(**o) for o in fields["options"])
    if cls is MultiInput:
        fields["default"] = tuple(fields["default"])
    return Question(**{**doc, "input": cls(**fields)})
