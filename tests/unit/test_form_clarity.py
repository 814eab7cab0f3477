"""Misleading forms are refused when they are asked: choices that look alike, defaults that do not fit."""

import json
from typing import Any

import pytest

from askback_server.domain.decisions import Decision, DecisionOption, check_options
from askback_server.domain.form_clarity import check_schema, find_confusable
from askback_server.domain.forms import (
    FormLimits,
    MultiInput,
    Option,
    Question,
    Questions,
    SingleInput,
    check_form,
)
from askback_server.domain.json_text import BadFields


def refusals(properties: dict[str, Any], **root: Any) -> list[str]:
    """The violations reported for a schema with these properties."""
    try:
        check_schema(json.dumps({"type": "object", "properties": properties, **root}))
    except BadFields as bad:
        return [v.description for v in bad.violations if v.field == "schema_json"]
    return []


@pytest.mark.parametrize(
    "names",
    [
        [("prod", "Staging"), ("staging", "")],
        [("prod", "STAGING "), ("staging", "Test")],
        [("a", "Same"), ("b", "same")],
        [("a", "B"), ("b", "A")],
        [("x", ""), ("y", "X")],
        [("straße", ""), ("y", "STRASSE")],
        [("no", ""), ("yes", "n\u200bo")],
        [("1", ""), ("2", "１")],
        [("a b", ""), ("y", "a  B")],
        [("a", "A"), ("A", "a")],
    ],
)
def test_titles_that_equal_another_choice_are_refused(names: list[tuple[str, str]]) -> None:
    """Regardless of case, width and spaces; in single and multiple choices, schemas and decisions."""
    assert list(find_confusable(names))
    options = tuple(Option(value, title) for value, title in names)
    for input in (SingleInput(options), MultiInput(options)):
        with pytest.raises(BadFields) as bad:
            check_form(Questions((Question(question_id="q", title="Q", input=input),)), FormLimits())
        assert all(violation.field.endswith("].title") for violation in bad.value.violations)
    titled = [{"const": value} | ({"title": title} if title else {}) for value, title in names]
    for part in ({"oneOf": titled}, {"type": "array", "items": {"anyOf": titled}}):
        assert refusals({"a": part})
    assert refusals({"a": {"enum": [v for v, _ in names], "enumNames": [t for _, t in names]}})


@pytest.mark.parametrize(
    "names", [[("a", "A"), ("b", "B")], [("a", ""), ("A", "")], [("a", "a"), ("b", "")], []]
)
def test_distinguishable_choices_are_accepted(names: list[tuple[str, str]]) -> None:
    assert not list(find_confusable(names))


@pytest.mark.parametrize(("accept", "reject"), [("Reject", "No"), ("reject ", ""), ("Same", "same")])
def test_a_decision_is_not_labelled_as_another(accept: str, reject: str) -> None:
    options = [DecisionOption(Decision.ACCEPT, accept), DecisionOption(Decision.REJECT, reject or "Reject")]
    with pytest.raises(BadFields, match="tell them apart"):
        check_options(options)


DEFS = {"L": {"enum": ["low", "high"]}}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "string", "default": None},
        {"type": "integer", "default": None},
        {"enum": ["x"], "default": "z"},
        {"type": "integer", "minimum": 5, "default": 1},
        {"type": "integer", "default": "many"},
        {"type": "boolean", "default": "yes"},
        {"type": "array", "items": {"enum": ["x"]}, "default": ["q"]},
        {"type": "string", "format": "date", "default": "yesterday"},
        {"$ref": "#/$defs/L", "default": "mid"},
        {"$ref": "#/properties/other", "default": "x"},
        {"anyOf": [{"type": "null"}, {"const": 1}], "default": 2},
        {"type": "object", "required": ["z"], "properties": {"b": {"type": "integer", "default": "x"}}},
        {"type": "object", "properties": {}, "required": ["b"], "default": {}},
        {"oneOf": [{"const": "a"}, {"const": "b"}], "default": "c"},
    ],
)
def test_a_default_that_does_not_fit_is_refused(part: dict[str, Any]) -> None:
    (said,) = refusals({"f": part, "other": {"type": "integer"}}, **{"$defs": DEFS})
    assert said.startswith("at /f")
    assert "default does not fit" in said


@pytest.mark.parametrize(
    "part",
    [
        {"type": "string", "default": ""},
        {"$ref": "#/$defs/L", "default": "low"},
        {"default": None},
        {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        {"type": ["integer", "null"], "default": None},
        {"type": "object", "required": ["z"], "properties": {"b": {"type": "integer", "default": 1}}},
        {"const": {"default": 3, "oneOf": [{"const": 1, "title": "x"}, {"const": 2, "title": "x"}]}},
    ],
)
def test_a_default_that_fits_is_accepted_without_other_values(part: dict[str, Any]) -> None:
    assert refusals({"f": part}, required=["f", "g"], **{"$defs": DEFS}) == []
