"""Every question type and schema shape as a field, and what may be typed for it."""

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback.terminal.assignments import parse_assignments
from askback.terminal.choices import marks
from askback.terminal.fields import NOTHING, Choice, Field, Group, Kind, flat, top_entries
from askback.terminal.prompt_form import form_of
from askback.terminal.schema_entries import schema_entry
from askback.terminal.value_parser import fits, read
from askback.terminal.value_text import text_for
from askback.v1 import prompt_pb2 as pb
from tests.support.dialogue import asking, prompt, question

POLICY = [
    pb.Option(value="standard", title="Standard"),
    pb.Option(value="goodwill", description="Costs more", recommended=True),
]


def field_of(asked: pb.Question) -> Field:
    (found,) = top_entries(form_of(asking(asked)))
    assert isinstance(found, Field)
    return found


def schema_field(part: Any, *, required: bool = False, **root: Any) -> Field | Group:
    schema = {"type": "object", "properties": {"f": part}, "required": ["f"] if required else [], **root}
    (found,) = top_entries(schema_entry(schema))
    return found


BOOLEAN = question(boolean=pb.BooleanInput(default_value=False))
SINGLE = question(single=pb.SingleInput(options=POLICY))
OTHER = question(single=pb.SingleInput(options=POLICY, allow_other=True))
MULTI = question(multi=pb.MultiInput(options=POLICY, min_items=1, max_items=2))
MULTI_OTHER = question(multi=pb.MultiInput(options=POLICY, allow_other=True))
TEXT = question(text=pb.TextInput(min_length=2, max_length=4, pattern="^(a+)+$"))
INTEGER = question(integer=pb.IntegerInput(minimum=1, maximum=2**62))
NUMBER = question(number=pb.NumberInput(minimum=0, maximum=1))
DATE = question(date=pb.DateInput(minimum="2024-02-01", maximum="2024-03-01"))


@pytest.mark.parametrize(
    ("asked", "typed", "value"),
    [
        (BOOLEAN, "y", True),
        (BOOLEAN, " No ", False),
        (SINGLE, "1", "standard"),
        (SINGLE, "goodwill", "goodwill"),
        (SINGLE, "STANDARD", "standard"),
        (OTHER, "something else", "something else"),
        (MULTI, "2, 1", ["goodwill", "standard"]),
        (MULTI, '["standard"]', ["standard"]),
        (MULTI_OTHER, "1, my own", ["standard", "my own"]),
        (MULTI_OTHER, '["a, b"]', ["a, b"]),
        (TEXT, " ab ", " ab "),
        (TEXT, "aaaa", "aaaa"),
        (INTEGER, "4611686018427387904", 2**62),
        (NUMBER, "0.25", 0.25),
        (NUMBER, "1", 1),
        (NUMBER, ".5e-1", 0.05),
        (DATE, "2024-02-29", "2024-02-29"),
    ],
)
def test_typed_text_becomes_the_value_of_its_field(asked: pb.Question, typed: str, value: Any) -> None:
    found = read(field_of(asked), typed)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("asked", "typed", "words"),
    [
        (BOOLEAN, "maybe", "yes or no"),
        (SINGLE, "3", "not offered; it must be one of: Standard, goodwill"),
        (SINGLE, "", "not offered"),
        (OTHER, "", "not offered"),
        (MULTI, "1, 1", "same choice twice"),
        (MULTI, "", "at least 1 and at most 2 choices"),
        (MULTI, '["other"]', "not offered"),
        (MULTI, '["standard"', "not JSON"),
        (TEXT, "a", "at least 2 and at most 4 characters"),
        (TEXT, "aaaaa", "characters"),
        (INTEGER, "1.0", "a whole number, at least 1"),
        (INTEGER, "1_0", "a whole number"),
        (INTEGER, "٣", "a whole number"),
        (INTEGER, "0", "must be at least 1"),
        (NUMBER, "nan", "a number"),
        (NUMBER, "inf", "a number"),
        (NUMBER, "1e999", "too large"),
        (NUMBER, "1,5", "a number"),
        (NUMBER, "1.01", "at most 1"),
        (DATE, "2024-02-30", "'2024-02-30' is not in the calendar; it must be a date written YYYY-MM-DD"),
        (DATE, "20240229", "YYYY-MM-DD"),
        (DATE, "2024-03-02", "at most 2024-03-01"),
    ],
)
def test_invalid_typed_text_is_refused_with_the_reason(asked: pb.Question, typed: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        read(field_of(asked), typed)


def test_a_hostile_pattern_is_left_to_the_server() -> None:
    """Python's own engine would need longer than a lifetime for it."""
    long = question(text=pb.TextInput(pattern="^(a+)+$"))
    assert read(field_of(long), "a" * 5_000 + "b").endswith("b")


def test_questions_show_defaults_and_help() -> None:
    assert field_of(BOOLEAN).default is False
    assert field_of(SINGLE).default is NOTHING
    several = question(multi=pb.MultiInput(options=POLICY, default_values=["standard"]))
    assert field_of(several).default == ["standard"]
    assert text_for(field_of(several), ["standard", "x"]) == "Standard, x"
    zero = question(integer=pb.IntegerInput(default_value=0), rationale=None)
    assert field_of(zero).default == 0
    unknown = field_of(pb.Question(question_id="q", title="of a newer server"))
    assert unknown.kind is Kind.JSON


def test_marks_never_look_like_values() -> None:
    """A choice named 2 that stands first is not chosen by typing the number of the second."""
    plain = [Choice("a"), Choice("b")]
    numbers = [Choice("2"), Choice("1")]
    odd = [Choice("2"), Choice("#1"), Choice("(2)")]
    assert marks(plain) == ["1", "2"]
    assert marks(numbers) == ["#1", "#2"]
    assert not set(marks(odd)) & {"2", "#1", "(2)"}
    years = question(single=pb.SingleInput(options=[pb.Option(value="2"), pb.Option(value="1")]))
    assert read(field_of(years), "2") == "2"
    assert read(field_of(years), "#2") == "1"


TITLED = {"oneOf": [{"const": "a", "title": "A", "description": "first"}, {"const": "b"}]}


@pytest.mark.parametrize(
    ("part", "kind", "typed", "value"),
    [
        ({"type": "string"}, Kind.TEXT, "x", "x"),
        ({"type": "string", "format": "email"}, Kind.TEXT, "a@b", "a@b"),
        ({"type": "string", "format": "date"}, Kind.DATE, "2024-02-29", "2024-02-29"),
        ({"type": "integer", "exclusiveMinimum": 0}, Kind.INTEGER, "1", 1),
        ({"type": "number", "maximum": 2}, Kind.NUMBER, "1.5", 1.5),
        ({"type": "boolean"}, Kind.BOOLEAN, "yes", True),
        ({"type": ["string", "null"]}, Kind.TEXT, "x", "x"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, Kind.INTEGER, "3", 3),
        ({"enum": ["a", "b"], "enumNames": ["First", "Second"]}, Kind.SINGLE, "second", "b"),
        ({"enum": [1, 2, True]}, Kind.SINGLE, "true", True),
        ({"const": 7}, Kind.SINGLE, "7", 7),
        ({"type": "string", **TITLED}, Kind.SINGLE, "A", "a"),
        ({"anyOf": [{"const": "a"}, {"type": "string"}]}, Kind.SINGLE, "zzz", "zzz"),
        ({"$ref": "#/$defs/P"}, Kind.SINGLE, "1", "x"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, Kind.MULTI, "1,2", ["a", "b"]),
        ({"type": "array", "items": TITLED, "maxItems": 1}, Kind.MULTI, "A", ["a"]),
        ({"type": "array", "items": {"type": "string"}}, Kind.MULTI, "x, y", ["x", "y"]),
        ({"type": "array", "items": {"type": "integer"}}, Kind.LIST, "[1, 2]", [1, 2]),
        ({"type": "object"}, Kind.PAIRS, '{"a": 1}', {"a": 1}),
        ({}, Kind.JSON, "null", None),
        (True, Kind.JSON, "1", 1),
        ({"type": "array", "items": {}}, Kind.JSON, "[1]", [1]),
        ({"$ref": "#/$defs/Loop"}, Kind.JSON, "1", 1),
    ],
)
def test_each_schema_shape_has_its_kind_of_field(part: Any, kind: Kind, typed: str, value: Any) -> None:
    definitions = {"P": {"enum": ["x", "y"]}, "Loop": {"$ref": "#/$defs/Loop"}}
    found = schema_field(part, **{"$defs": definitions})
    assert isinstance(found, Field)
    assert found.kind is kind
    got = read(found, typed)
    assert got == value
    assert type(got) is type(value)


def test_null_makes_optional_and_bounds_are_open_or_not() -> None:
    found = schema_field({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}, required=True)
    assert isinstance(found, Field)
    assert (found.nullable, found.default) == (True, NOTHING)
    above = schema_field({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 2})
    assert isinstance(above, Field)
    assert str(above.bounds) == "more than 0 and less than 2"
    with pytest.raises(ValueError, match="more than 0"):
        read(above, "0")


def test_fields_come_in_the_order_of_their_declaration() -> None:
    names = ["zeta", "alpha", "mid", "beta"]
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    assert [item.name for item in flat(form_of(prompt(schema_json=json.dumps(schema))))] == names
    asked = asking(*(question(name, text=pb.TextInput()) for name in names))
    assert [item.name for item in flat(form_of(asked))] == names


def test_one_level_of_nested_objects_becomes_a_group() -> None:
    city = {"type": "object", "properties": {"city": {"type": "string"}, "geo": {"type": "object"}}}
    group = schema_field({**city, "title": "Address", "required": ["city"]})
    assert isinstance(group, Group)
    assert not group.required
    fields = [item for item in group.fields if isinstance(item, Field)]
    assert [(item.name, item.kind, item.required) for item in fields] == [
        ("f.city", Kind.TEXT, True),
        ("f.geo", Kind.PAIRS, False),
    ]


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"allOf": []}, {"properties": {}}, [], 3, None])
def test_a_schema_without_properties_is_asked_as_one_value(schema: Any) -> None:
    (whole,) = top_entries(schema_entry(schema))
    assert isinstance(whole, Field)
    assert whole.path == ()
    assert read(whole, '{"a": 1}') == {"a": 1}
    with pytest.raises(ValueError, match="JSON object"):
        read(whole, "[]")
    with pytest.raises(ValueError, match="NaN"):
        read(whole, '{"a": NaN}')


KEYWORDS = st.sampled_from(
    [
        "type",
        "properties",
        "items",
        "enum",
        "const",
        "oneOf",
        "anyOf",
        "$ref",
        "required",
        "default",
        "title",
        "minimum",
        "maxLength",
        "format",
        "enumNames",
        "description",
        "string",
        "object",
        "array",
        "null",
        "#/$defs",
    ]
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | KEYWORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=5),
    max_leaves=20,
)


@given(ANY, st.text(max_size=5))
def test_any_schema_and_text_is_read_or_refused(part: Any, text: str) -> None:
    schema = {"type": "object", "properties": {"f": part, "g": {"properties": {"h": part}}}}
    for found in (
        schema_entry(schema),
        schema_entry(part),
        form_of(prompt(schema_json=json.dumps(schema))),
    ):
        for item in flat(found):
            with suppress(ValueError):
                assert fits(item, read(item, text)) or not isinstance(item, Field)
            if item.default is not NOTHING:
                assert text_for(item, item.default) is not None


def test_assignments_set_fields_by_name() -> None:
    asked = asking(question("n", integer=pb.IntegerInput()), question("a.b", text=pb.TextInput()), SINGLE)
    assert parse_assignments(asked, ["n=3", "a.b=x=y", "q=Standard"]) == {
        "n": 3,
        "a.b": "x=y",
        "q": "standard",
    }
    assert parse_assignments(asked, ["n=3"], {"n": 1, "q": "z"}) == {"n": 3, "q": "z"}
    for word, words in (
        ("n", "FIELD=VALUE"),
        ("m=1", "no field 'm'; its fields: n, a.b, q"),
        ("n=x", "n: must"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            parse_assignments(asked, [word])
    inner = {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "integer"}}}
    address = prompt(schema_json=json.dumps({"type": "object", "properties": {"to": inner}}))
    assert parse_assignments(address, ["to.city=Bonn"], {"to": {"zip": 1}}) == {
        "to": {"city": "Bonn", "zip": 1}
    }
    by_name = {"type": "object", "additionalProperties": {"type": "string"}}
    assert parse_assignments(prompt(schema_json=json.dumps(by_name)), ["a=1", 'b:="x"']) == {
        "a": "1",
        "b": "x",
    }
    days = {
        "type": "object",
        "properties": {"on": {"type": "array", "items": {"type": "string", "format": "date"}}},
    }
    assert parse_assignments(prompt(schema_json=json.dumps(days)), ["on=2026-12-01, 2026-12-02"]) == {
        "on": ["2026-12-01", "2026-12-02"]
    }
    either = {"type": "object", "properties": {"v": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}}
    assert parse_assignments(prompt(schema_json=json.dumps(either)), ["v=7"]) == {"v": 7}
    assert parse_assignments(prompt(schema_json=json.dumps(either)), ["v=seven"]) == {"v": "seven"}
    free = prompt(schema_json='{"type": "object"}')
    assert parse_assignments(free, ["a=1", "b=x"]) == {"a": 1, "b": "x"}
