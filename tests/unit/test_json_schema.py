"""Forms given as JSON schemas: values are judged by them, and hostile schemas do no harm."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from askback_server.domain.checks import normalise
from askback_server.domain.content import DefaultAnswer, FinalAction, PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.errors import InvalidField
from askback_server.domain.forms import (
    Judgement,
    SchemaForm,
    TextInput,
    Unjudged,
    judge_values,
    validate_values,
)
from askback_server.domain.limits import Limits
from tests.support.forms import LIMITS, ask, faults, problem, problems, schema


def doubling(length: int) -> SchemaForm:
    defs: dict[str, Any] = {
        f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}, {"$ref": f"#/$defs/d{i + 1}"}]}
        for i in range(length)
    }
    return schema(**{"$defs": {**defs, f"d{length}": {}}, "$ref": "#/$defs/d0"})


def nest_unevaluated(levels: int, keyword: str, closing: str) -> SchemaForm:
    """Nested schemas, each of which evaluates again what the inner one left unevaluated."""
    inner: dict[str, Any] = {"properties": {"a": {}}}
    for _ in range(levels):
        inner = {keyword: inner if keyword == "if" else [inner], closing: False}
    return schema(properties={"v": inner})


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (SchemaForm(""), "not valid JSON"),
        (SchemaForm("true"), "object"),
        (SchemaForm("{}"), "object"),
        (SchemaForm('{"type": ["object", "null"]}'), "object"),
        (SchemaForm('{"type": "object", "type": "object"}'), "twice"),
        (SchemaForm("[" * 60_000), "nested deeper"),
        (SchemaForm('{"type": "object", "minProperties": 1e999999}'), "too large"),
        (SchemaForm('{"type": "object", "title": "' + "x" * 70_000 + '"}'), "at most 65536 bytes"),
        (schema(properties={"a": {"type": "sting"}}), "not a valid JSON Schema at /properties/a/type"),
        (schema(properties={"a": {"pattern": "("}}), "regex"),
        (schema(properties={"a": {"pattern": "(?=a)b"}}), "regex"),
        (schema(patternProperties={r"(a)\1": {}}), "not a valid JSON Schema"),
        (schema(properties={"a": {"pattern": "((a{1000}){1000}){1000}"}}), "regex"),
        (schema(properties={f"p{i}": {"pattern": f"a{i}"} for i in range(33)}), "32 regular expressions"),
        (schema(properties={"a": {"$ref": "http://127.0.0.1:1/x"}}), "only plain pointers"),
        (schema(properties={"a": {"$ref": "file:///etc/passwd"}}), "only plain pointers"),
        (schema(properties={"a": {"$ref": "other.json#/a"}}), "only plain pointers"),
        (schema(**{"$defs": {"a": {"$ref": "https://example.com/"}}}), "only plain pointers"),
        (schema(properties={"a": {"$ref": "#/$defs/nope"}}), "points nowhere"),
        (schema(properties={"a": {"$ref": "#/$defs/a%2Fb"}}), "only plain pointers"),
        (
            schema(properties={"a": {"$ref": "#/examples/0"}}, examples=[{"$ref": "http://x/"}]),
            "only plain pointers",
        ),
        (schema(properties={"a": {"$dynamicRef": "#x"}}), "$dynamicRef"),
        (schema(properties={"a": {"$id": "http://x/", "type": "string"}}), "$id"),
        (schema(properties={"a": {"$ref": "#"}}), "recursive"),
        (schema(**{"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}), "recursive"),
        (schema(**{"$schema": "http://json-schema.org/draft-04/schema#"}), "unknown $schema"),
        (schema(**{"$schema": "http://127.0.0.1:1/meta"}), "unknown $schema"),
        (schema(**{"$schema": 5}), "unknown $schema"),
        (doubling(12), "3000 parts"),
        (doubling(500), "references"),
        (nest_unevaluated(7, "if", "unevaluatedProperties"), "3000 parts"),
        (nest_unevaluated(7, "allOf", "unevaluatedItems"), "3000 parts"),
    ],
)
def test_unsupported_schemas_are_refused(form: SchemaForm, words: str) -> None:
    start = time.process_time()
    assert words in faults(form)["schema_json"]
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "form",
    [
        schema(),
        schema(**{"$id": "https://example.com/form", "$schema": "http://json-schema.org/draft-07/schema#"}),
        schema(
            properties={"$ref": {"type": "string"}, "$id": {}, "default": {"const": {"$ref": "http://x/"}}}
        ),
        schema(**{"$defs": {"a~/b": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/a~0~1b"}}}),
        doubling(5),
    ],
)
def test_supported_schemas_are_accepted(form: SchemaForm) -> None:
    assert faults(form) == {}


def test_values_are_judged_by_the_schema() -> None:
    form = SchemaForm(
        json.dumps(
            {
                "type": "object",
                "properties": {
                    "policy": {"oneOf": [{"const": "standard", "title": "S"}, {"const": "goodwill"}]},
                    "size": {"enum": ["s", "m"]},
                    "amount": {"type": "integer", "minimum": 1, "maximum": 10},
                    "sure": {"type": "boolean"},
                    "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
                    "mail": {"type": "string", "format": "email"},
                    "who": {},
                },
                "$defs": {"item": {"type": "object", "required": ["a/b"]}},
                "required": ["policy", "who"],
                "additionalProperties": False,
            }
        )
    )
    assert faults(form) == {}
    assert problems(form, {"policy": "standard", "who": 1}) == {}
    values = {"policy": "x", "size": 1, "amount": 11, "sure": "false", "items": [{}], "mail": "no", "z": 1}
    assert problems(form, values) == {
        "values_json/policy": "must be one of: standard, goodwill",
        "values_json/size": "must be one of: s, m",
        "values_json/amount": "the value is greater than the maximum of 10",
        "values_json/sure": "must be true or false",
        "values_json/items/0/a~1b": "is required",
        "values_json/mail": "is not a valid email",
        "values_json/who": "is required",
        "values_json/z": "is not a field of this form",
    }
    assert (
        problems(form, {"policy": "standard", "amount": True, "who": 0})["values_json/amount"]
        == "must be an integer"
    )


def test_an_empty_form_takes_no_fields() -> None:
    form = schema(additionalProperties=False)
    assert problems(form, {"a": 1}) == {"values_json": "has fields that are not in this form"}


def test_a_refusal_does_not_repeat_the_answer() -> None:
    form = schema(properties={"a": {"maxLength": 3}, "b": {"not": {"type": "string"}}, "c": {"minItems": 2}})
    for description in problems(form, {"a": "secret-1", "b": "secret-2", "c": ["secret-3"]}).values():
        assert "secret" not in description


def test_patterns_cannot_hang_the_service() -> None:
    hostile = "a" * 50_000 + "!"
    start = time.process_time()
    assert problem(TextInput(pattern="^(a+)+$"), hostile)
    assert problems(schema(properties={"a": {"pattern": "^(a|a)*$"}}), {"a": hostile})
    assert time.process_time() - start < 1


def test_a_stored_schema_that_is_no_longer_allowed_is_a_refusal_not_a_crash() -> None:
    assert "schema_json" in problems(SchemaForm('{"type": "string"}'), {})


@pytest.mark.parametrize(
    ("form", "values"),
    [
        (schema(anyOf=[{"properties": {"a": {"items": {"type": "string"}}}}] * 100), {"a": [0] * 80_000}),
        (schema(properties={"a": {"anyOf": [{"type": "integer"}] * 1_000}}), {"a": "x" * 250_000}),
        (
            schema(properties={"a": {"propertyNames": {"maxLength": 2}}}),
            {"a": {f"k{i}": 1 for i in range(9_999)}},
        ),
        (
            schema(
                **{"$defs": {"r": {"required": [f"x{i}" for i in range(25)]}}},
                properties={"a": {"allOf": [{"$ref": "#/$defs/r"}] * 70}},
            ),
            {"a": {f"k{i}": 1 for i in range(9_999)}},
        ),
    ],
)
def test_listing_the_errors_of_a_large_value_stays_cheap(form: SchemaForm, values: dict[str, Any]) -> None:
    assert faults(form) == {}
    start = time.process_time()
    assert problems(form, values) == {
        "values_json": "does not match the form's schema; it is too large to say where"
    }
    assert time.process_time() - start < 2


LONG = "ab" * 60_000


@pytest.mark.parametrize(
    ("form", "values"),
    [
        (
            schema(properties={"v": {"items": {"anyOf": [{"const": i} for i in range(900)]}}}),
            {"v": [0] * 9_999},
        ),
        (
            schema(properties={"v": {"items": {"allOf": [{"minimum": -i} for i in range(900)]}}}),
            {"v": [0] * 9_999},
        ),
        (schema(anyOf=[{"required": [f"k{i}"]} for i in range(900)]), {f"p{i}": 0 for i in range(9_999)}),
        (schema(properties={"v": {"pattern": "[ab]*a[ab]{250}c"}}), {"v": LONG}),
        (schema(patternProperties={"[ab]*a[ab]{250}c": {}}), {LONG[:999] + str(i): 0 for i in range(90)}),
        (schema(properties={"v": {"items": {"multipleOf": 0.0001}}}), {"v": [1.5e300] * 9_999}),
        (
            schema(properties={"v": {"items": {"maxLength": 1}}}, required=[str(i) for i in range(99)]),
            {"v": ["xx"] * 99},
        ),
        (ask(TextInput(pattern="[ab]*a[ab]{250}c")), {"q0": LONG}),
        # Keywords that read a text as a whole: its length counts, not the number of values.
        (schema(properties={"v": {"allOf": [{"format": "json-pointer"}] * 900}}), {"v": "/a" * 99_999}),
        (schema(properties={"v": {"allOf": [{"format": "uri-reference"}] * 900}}), {"v": LONG}),
        (schema(properties={"v": {"allOf": [{"uniqueItems": True}] * 900}}), {"v": [LONG, LONG]}),
        (
            schema(properties={"v": {"allOf": [{"contentMediaType": "application/json"}] * 99}}),
            {"v": "[" + "1," * 9_999 + "1]"},
        ),
        # A fractional bound and a number with many digits.
        (schema(properties={"v": {"items": {"allOf": [{"minimum": 1.5}] * 99}}}), {"v": [2.5] * 999}),
        (schema(properties={"v": {"items": {"multipleOf": 0.1}}}), {"v": [0.1, *[int("7" * 300)] * 30]}),
        # A referenced schema counts once for each reference.
        (
            schema(
                properties={"v": {"allOf": [{"$ref": "#/$defs/p"}] * 900}},
                **{"$defs": {"p": {"pattern": "[ab]*c"}}},
            ),
            {"v": LONG},
        ),
        (
            schema(
                properties={"v": {"items": {"allOf": [{"$ref": "#/$defs/p"}] * 900}}},
                **{"$defs": {"p": {"multipleOf": 0.01}}},
            ),
            {"v": [0.01] * 9},
        ),
    ],
)
def test_expensive_judgements_are_left_to_a_child_process(form: Any, values: dict[str, Any]) -> None:
    text = json.dumps(values)
    with pytest.raises(Unjudged) as caught:
        validate_values(form, text, max_bytes=LIMITS.max_values_bytes)
    # A judgement from a child process is valid for this form and these values only.
    asked = caught.value
    found = judge_values(asked.form, asked.values_json, max_bytes=asked.max_bytes)
    judgement = Judgement(form, text, found)
    assert validate_values(form, text, max_bytes=9**9, judgement=judgement) == found
    with pytest.raises(Unjudged):
        validate_values(form, text + " ", max_bytes=9**9, judgement=judgement)
    other = Judgement(SchemaForm('{"type":"object"}'), text, ())
    with pytest.raises(Unjudged):
        validate_values(form, text, max_bytes=9**9, judgement=other)


def test_a_schema_with_too_much_work_is_refused() -> None:
    form = schema(properties={"v": {"items": {"anyOf": [{"const": i} for i in range(1_400)]}}})
    found = problems(form, {"v": [0] * 85_000})
    assert list(found) == ["values_json"]
    assert "takes too long to check" in found["values_json"]


def test_a_default_answer_is_judged_at_once_or_refused() -> None:
    form = schema(properties={"v": {"items": {"anyOf": [{"const": i} for i in range(900)]}}})
    default = DefaultAnswer(Decision.RESPOND, json.dumps({"v": [0] * 9_999}))
    content = PromptContent(
        "clarify",
        "Which?",
        form=form,
        timeout=timedelta(hours=1),
        default_answer=default,
        final_action=FinalAction.DEFAULT,
    )
    with pytest.raises(InvalidField) as caught:
        normalise(content, Limits(), datetime.now(UTC))
    assert [v.field for v in caught.value.violations] == ["content.default_answer.values_json"]
