"""Text typed into the fields of a form: choices with commas, JSON, forms without fields, defaults."""

import json
from typing import Any

import pytest

from askback._model.enums import DecisionKind
from askback.terminal.assignments import parse_assignments
from askback.terminal.draft import Draft
from askback.terminal.fields import Field, top_entries
from askback.terminal.prompt_form import form_of
from askback.terminal.value_parser import fits, read
from askback.v1 import prompt_pb2 as pb
from tests.support.dialogue import ScriptedDialogue, asking, drafts_of, prompt, question

CITIES = question(
    "city",
    multi=pb.MultiInput(
        options=[
            pb.Option(value="Berlin, Mitte"), pb.Option(value="Hamburg"),
            pb.Option(value="m", title="München, Süd"),
        ]
    ),
)  # fmt: skip
OTHER = question("city", multi=pb.MultiInput(options=CITIES.multi.options, allow_other=True))
MIXED = question("x", multi=pb.MultiInput(options=[pb.Option(value=v) for v in ("a", "b", "a, b", "c")]))


def multi(asked: pb.Question) -> Field:
    (found,) = top_entries(form_of(asking(asked)))
    assert isinstance(found, Field)
    return found


@pytest.mark.parametrize(
    ("asked", "typed", "value"),
    [
        (CITIES, "Berlin, Mitte", ["Berlin, Mitte"]),
        (CITIES, "berlin,mitte", ["Berlin, Mitte"]),
        (CITIES, "München, Süd", ["m"]),
        (CITIES, "Hamburg,Berlin, Mitte", ["Hamburg", "Berlin, Mitte"]),
        (CITIES, "München, Süd, 2, Berlin, Mitte", ["m", "Hamburg", "Berlin, Mitte"]),
        (OTHER, "Köln; Süd, Nord", ["Köln; Süd, Nord"]),
        (OTHER, "1, Köln; Süd, Nord", ["Berlin, Mitte", "Köln; Süd, Nord"]),
        (OTHER, '["Köln", "Süd"]', ["Köln", "Süd"]),
        (MIXED, "a, b", ["a, b"]),
        (MIXED, "b, c", ["b", "c"]),
    ],
)
def test_a_choice_with_a_comma_is_one_choice(asked: pb.Question, typed: str, value: list[str]) -> None:
    assert read(multi(asked), typed) == value
    assert parse_assignments(asking(asked), [f"{asked.question_id}={typed}"]) == {asked.question_id: value}


@pytest.mark.parametrize(
    ("asked", "typed"), [(MIXED, "a, b, c"), (OTHER, "Köln, Hamburg"), (CITIES, "Berlin, Nord")]
)
def test_an_ambiguous_choice_is_refused(asked: pb.Question, typed: str) -> None:
    with pytest.raises(ValueError, match=r"JSON array|not offered"):
        read(multi(asked), typed)


def test_assignments_accept_json_beside_words() -> None:
    assert parse_assignments(asking(CITIES), ['city:=["m", "Hamburg"]']) == {"city": ["m", "Hamburg"]}
    with pytest.raises(ValueError, match="city: is not JSON"):
        parse_assignments(asking(CITIES), ["city:=m"])


EMPTY = [
    {"type": "object", "properties": {}}, {"type": "object", "additionalProperties": False},
    {"type": "object", "properties": {}, "title": "Empty", "additionalProperties": False},
]  # fmt: skip


@pytest.mark.parametrize("schema", EMPTY)
async def test_a_form_without_fields_asks_for_none(schema: Any) -> None:
    asked = prompt(schema_json=json.dumps(schema))
    assert form_of(asked) is None
    (draft,) = await drafts_of(asked, ScriptedDialogue("", "y"))
    assert draft == Draft(DecisionKind.RESPOND)


@pytest.mark.parametrize("required", [{}, {"required": ["a"]}])
def test_a_form_that_allows_no_other_fields_asks_for_its_own(required: Any) -> None:
    """Also if none of them is required."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    (field,) = top_entries(form_of(prompt(schema_json=json.dumps(schema | required))))
    assert (field.path, field.required) == (("a",), bool(required))


async def test_a_form_that_accepts_any_object_may_be_left_empty() -> None:
    (draft,) = await drafts_of(prompt(schema_json='{"type": "object"}'), ScriptedDialogue("", "", "y"))
    assert draft.values == {}
    (whole,) = top_entries(form_of(prompt(schema_json='{"type": "object", "required": ["a"]}')))
    assert isinstance(whole, Field)
    assert whole.required


@pytest.mark.parametrize(
    ("part", "default"),
    [
        ({"type": "integer"}, "many"), ({"type": "integer"}, None), ({"type": "integer", "minimum": 5}, 1),
        ({"type": "boolean"}, "yes"), ({"enum": ["x"]}, "z"),
        ({"type": "array", "items": {"enum": ["x"]}}, ["q"]),
        ({"type": "string", "format": "date"}, "yesterday"),
        ({"type": "array", "items": {"type": "string"}}, "q"),
        ({"type": "number"}, True), ({"type": "string", "maxLength": 2}, "abc"),
    ],
)  # fmt: skip
async def test_a_default_that_does_not_fit_is_not_offered(part: dict[str, Any], default: Any) -> None:
    """An older server may still have stored one."""
    schema = {"type": "object", "properties": {"f": {**part, "default": default}}, "required": ["f"]}
    asked = prompt(schema_json=json.dumps(schema))
    (field,) = top_entries(form_of(asked))
    assert isinstance(field, Field)
    assert not fits(field, default)
    said = ScriptedDialogue("", "")
    with pytest.raises(EOFError):
        await drafts_of(asked, said)
    assert "! must be given" in said.text
