"""The values of an answer: our own check of questions agrees with the derived schema."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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
    derive_schema,
    judge_values,
    validate_values,
)
from askback_server.domain.json_text import MAX_VIOLATIONS
from tests.support.forms import LIMITS, POLICY, ask, faults, problem, problems


def bounds(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    return st.tuples(st.none() | values, st.none() | values).map(
        lambda pair: tuple(sorted(pair)) if None not in pair else pair
    )


WORDS = st.sampled_from(["a", "b", "ab", "é", "😀", "standard"])
OPTIONS = st.lists(WORDS, min_size=1, max_size=4, unique=True).map(lambda vs: tuple(Option(v) for v in vs))
COUNTS = bounds(st.integers(1, 4))
INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5).map(float)
PATTERNS = st.sampled_from(["", "^a", r"^\d+$", "b$", r"^[\w.-]+$", "[^a]", "(a|b){2}"])
DATES = st.dates().map(str)

INPUTS: st.SearchStrategy[Input] = st.one_of(
    st.just(BooleanInput()),
    st.builds(SingleInput, OPTIONS, allow_other=st.booleans()),
    st.builds(lambda o, c, other: MultiInput(o, (), c[0], c[1], other), OPTIONS, COUNTS, st.booleans()),
    st.builds(lambda c, p: TextInput(None, c[0], c[1], p), COUNTS, PATTERNS),
    st.builds(lambda b: IntegerInput(None, b[0], b[1]), bounds(INTEGERS)),
    st.builds(lambda b: NumberInput(None, b[0], b[1]), bounds(NUMBERS)),
    st.builds(lambda b: DateInput(None, b[0] or "", b[1] or ""), bounds(DATES)),
)
TEXTS = WORDS | DATES | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    INTEGERS,
    st.integers(2**63, 2**64 - 1),
    NUMBERS,
    TEXTS,
    st.sampled_from(["false", "1", "", "2024-02-30", "20240101", "2024-1-1", "٣", "a\n"]),
    st.lists(WORDS | st.integers(-5, 5) | st.none(), max_size=4),
    st.lists(WORDS, max_size=5),
    st.just({}),
)


def beyond_json_schema(input_: Input, value: Any) -> bool:
    """Two rules that JSON Schema can only annotate: bounds of dates, and 64 bits."""
    if isinstance(input_, DateInput) and isinstance(value, str):
        return value < (input_.minimum or value) or value > (input_.maximum or value) or value[:4] == "0000"
    return (
        isinstance(input_, IntegerInput) and isinstance(value, int | float) and not -(2**63) <= value < 2**63
    )


@given(
    st.lists(st.tuples(INPUTS, VALUES, st.booleans(), st.booleans()), min_size=1, max_size=3), st.booleans()
)
@example([(IntegerInput(None, 1, 10), 3.0, True, True)], False)
@example([(NumberInput(None, None, 6.436197182512278e16), 6.436197182512278e16, False, True)], False)
@example([(IntegerInput(None, 0, 1), True, True, True)], False)
@example([(NumberInput(None, 0.0, None), False, True, True)], False)
@example([(SingleInput(POLICY, None, True), "", True, True)], False)
@example([(MultiInput(POLICY), [], True, True)], False)
@example([(MultiInput(POLICY), ["standard", "standard"], True, True)], False)
@example([(TextInput(None, None, 1), "😀", True, True)], False)
@example([(TextInput(), "", True, True)], False)
@example([(TextInput(None, None, None, r"^\d$"), "٣", True, True)], False)
def test_questions_and_their_schema_agree(asked: list[tuple[Input, Any, bool, bool]], stranger: bool) -> None:
    questions = tuple(
        Question(question_id=f"q{i}", title="T", input=input_, required=required)
        for i, (input_, _, required, _) in enumerate(asked)
    )
    form = Questions(questions)
    values = {f"q{i}": value for i, (_, value, _, given_) in enumerate(asked) if given_}
    if stranger:
        values["stranger"] = 1
    text = json.dumps(values)
    schema = derive_schema(form)
    # Both parsed by Python: as text the schema has exact decimals, and 64361971825122780 as a float is more.
    judge = jsonschema_rs.validator_for(json.loads(schema), validate_formats=True)
    by_schema = judge.is_valid(json.loads(text))
    allowed = by_schema and not any(
        beyond_json_schema(input_, value) for input_, value, _, given_ in asked if given_
    )
    assert (problems(form, text) == {}) == allowed
    derived = SchemaForm(schema)
    if not any(isinstance(i, MultiInput) and (i.min_items or 0) > len(i.options) for i, *_ in asked):
        assert faults(form) == {}
    assert faults(derived) == {}
    assert (problems(derived, text) == {}) == by_schema


@pytest.mark.parametrize(
    ("input_", "value", "expected"),
    [
        (BooleanInput(), "false", "must be true or false"),
        (BooleanInput(), 0, "must be true or false"),
        (BooleanInput(), None, "must be true or false"),
        (SingleInput(POLICY), "other", "must be one of: standard, goodwill"),
        (SingleInput(POLICY), ["standard"], "must be one of: standard, goodwill"),
        (SingleInput(POLICY, None, True), "", "must be one of: standard, goodwill, or another text"),
        (MultiInput(POLICY), "standard", "must be a list of choices from: standard, goodwill"),
        (
            MultiInput(POLICY),
            [["standard"]],
            "has a choice that is not offered; offered are: standard, goodwill",
        ),
        (MultiInput(POLICY), ["goodwill", "goodwill"], "must not have the same choice twice"),
        (MultiInput(POLICY, (), 1, 1), [], "must have exactly 1 choice"),
        (MultiInput(POLICY, (), 1, 2), [], "must have 1 to 2 choices"),
        (TextInput(), 5, "must be text"),
        (TextInput(None, 2, 3), "abcd", "must have 2 to 3 characters"),
        (TextInput(None, 2, None), "a", "must have at least 2 characters"),
        (TextInput(None, None, 1), "ab", "must have at most 1 character"),
        (TextInput(None, None, None, "^[A-Z]+$"), "a", "must match the pattern ^[A-Z]+$"),
        (IntegerInput(None, 1, 10), 11, "must be an integer between 1 and 10"),
        (IntegerInput(None, 1, 10), True, "must be an integer between 1 and 10"),
        (IntegerInput(None, 1), "1", "must be an integer of at least 1"),
        (IntegerInput(), 1.5, "must be an integer"),
        (IntegerInput(), 2**63, "must be an integer of 64 bits"),
        (IntegerInput(), 1e300, "must be an integer of 64 bits"),
        (NumberInput(None, None, 0.5), 1, "must be a number of at most 0.5"),
        (NumberInput(), False, "must be a number"),
        (NumberInput(), "1", "must be a number"),
        (DateInput(), "2023-02-29", "must be a date written YYYY-MM-DD"),
        (DateInput(), "20240101", "must be a date written YYYY-MM-DD"),
        (
            DateInput(None, "2024-01-01", "2024-12-31"),
            "2025-01-01",
            "must be a date written YYYY-MM-DD between 2024-01-01 and 2024-12-31",
        ),
    ],
)
def test_the_refusal_of_a_value_says_what_is_allowed(input_: Input, value: Any, expected: str) -> None:
    assert problem(input_, value) == expected


@pytest.mark.parametrize(
    ("input_", "value"),
    [
        (BooleanInput(), False),
        (SingleInput(POLICY), "goodwill"),
        (SingleInput(POLICY, None, True), "mine"),
        (MultiInput(POLICY), []),
        (MultiInput(POLICY, (), None, None, True), ["standard", "mine"]),
        (TextInput(), ""),
        (TextInput(None, None, None, "b"), "abc"),
        (IntegerInput(None, 1, 10), 3.0),
        (IntegerInput(), -(2**63)),
        (NumberInput(), 3),
        (DateInput(None, "2024-02-29", "2024-02-29"), "2024-02-29"),
    ],
)
def test_valid_values_are_accepted(input_: Input, value: Any) -> None:
    assert problem(input_, value) is None


def test_a_required_text_must_not_be_blank_unless_its_bounds_allow_it() -> None:
    assert problem(TextInput(), "", required=True) == "must have at least 1 character"
    assert problem(TextInput(None, 0), "", required=True) is None
    assert problem(MultiInput(POLICY), [], required=True) == "must have at least 1 choice"
    assert problem(MultiInput(POLICY, (), 0), [], required=True) is None


def test_missing_and_unknown_fields_are_refused() -> None:
    form = ask(BooleanInput(True), TextInput(), required=True)
    assert problems(form, {"q1": "x", "a/b~": 1}) == {
        "values_json/q0": "is required",
        "values_json/a~1b~0": "is not a question of this form",
    }
    assert problems(form, "") == {"values_json/q0": "is required", "values_json/q1": "is required"}


@pytest.mark.parametrize("form", [ask(TextInput()), SchemaForm('{"type": "object"}'), None])
@pytest.mark.parametrize(
    "text", ["[]", "null", '"x"', "1", "{", "[" * 100_000, '{"a": 1e999999}', '{"a": "\\ud800"}']
)
def test_values_must_be_a_sound_object(form: Form | None, text: str) -> None:
    assert list(problems(form, text)) == ["values_json"]


def test_values_without_a_form_are_refused() -> None:
    for text in ("", "{}", " { } "):
        assert problems(None, text) == {}
    assert problems(None, '{"a": 1}') == {"values_json": "must be empty: this prompt has no form"}
    assert faults(None) == {}


def test_the_number_of_reported_violations_is_limited() -> None:
    unknown = json.dumps({f"k{i}": i for i in range(5000)})
    strict = '{"type": "object", "properties": {"a": {}}, "additionalProperties": false}'
    for form in (ask(TextInput()), SchemaForm(strict)):
        found = judge_values(form, unknown, max_bytes=LIMITS.max_values_bytes)
        assert len(found) == MAX_VIOLATIONS
    large = SchemaForm('{"type": "object", "additionalProperties": {"type": "string"}}')
    assert len(judge_values(large, unknown, max_bytes=LIMITS.max_values_bytes)) == MAX_VIOLATIONS


def test_the_caller_sets_the_maximum_size() -> None:
    (found,) = validate_values(ask(TextInput()), '{"q0": 1}', max_bytes=9)
    assert found.field == "values_json/q0"
    (found,) = validate_values(ask(TextInput()), '{"q0": 10}', max_bytes=9)
    assert found.description == "is 10 bytes long; at most 9 bytes are allowed"
