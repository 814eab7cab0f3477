"""Forms made of questions: how they are checked, and the schema derived from them."""

import pytest

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
    check_form,
    derive_schema,
)
from askback_server.domain.json_text import BadFields
from tests.support.forms import LIMITS, POLICY, ask, faults


def test_a_form_with_every_input_is_accepted() -> None:
    form = ask(
        BooleanInput(False),
        SingleInput(POLICY, "mine", True),
        MultiInput(POLICY, ("standard",), 1, 2),
        TextInput("ab", 1, 5, "^[a-z]+$", True),
        IntegerInput(3, -(2**63), 2**63 - 1),
        NumberInput(0.5, 0.0, 1.0),
        DateInput("2024-02-29", "2024-01-01", "2024-12-31"),
        required=True,
    )
    assert faults(form) == {}


@pytest.mark.parametrize(
    ("input_", "path", "words"),
    [
        (SingleInput(()), "single.options", "at least one option"),
        (SingleInput((Option("a"), Option("b"), Option("a"))), "single.options[2].value", "earlier option"),
        (SingleInput((Option(""),)), "single.options[0].value", "empty"),
        (SingleInput((Option("a", "x\0"),)), "single.options[0].title", "NUL"),
        (SingleInput(tuple(Option(str(i)) for i in range(201))), "single.options", "at most 200"),
        (SingleInput(POLICY, "other"), "single.default_value", "must be one of"),
        (MultiInput(POLICY, ("other",)), "multi.default_values", "not offered"),
        (MultiInput(POLICY, ("standard",), 2), "multi.default_values", "at least 2"),
        (MultiInput(POLICY, (), 3), "multi.min_items", "number of options"),
        (MultiInput(POLICY, (), 2, 1), "multi.min_items", "larger than max_items"),
        (MultiInput(POLICY, (), None, 0), "multi.max_items", "at least 1"),
        (TextInput(None, -1), "text.min_length", "negative"),
        (TextInput(None, 3, 2), "text.min_length", "larger than max_length"),
        (TextInput("abc", None, 2), "text.default_value", "at most 2"),
        (TextInput("A", pattern="^[a-z]$"), "text.default_value", "pattern"),
        (TextInput("\0"), "text.default_value", "NUL"),
        (TextInput("\ud800"), "text.default_value", "surrogate"),
        (TextInput(pattern="("), "text.pattern", "regular expression"),
        (TextInput(pattern="(?=a)b"), "text.pattern", "regular expression"),
        (TextInput(pattern=r"(a)\1"), "text.pattern", "regular expression"),
        (TextInput(pattern="((a{1000}){1000}){1000}"), "text.pattern", "too large"),
        (TextInput(pattern="a" * 257), "text.pattern", "256"),
        (TextInput(pattern="a\0"), "text.pattern", "NUL"),
        (IntegerInput(None, 2, 1), "integer.minimum", "larger"),
        (IntegerInput(0, 1), "integer.default_value", "at least 1"),
        (NumberInput(None, 2.0, 1.0), "number.minimum", "larger"),
        (NumberInput(float("nan")), "number.default_value", "finite"),
        (NumberInput(None, None, float("inf")), "number.maximum", "finite"),
        (DateInput(None, "2024-13-01"), "date.minimum", "YYYY-MM-DD"),
        (DateInput(None, "2024-02-01", "2024-01-01"), "date.minimum", "larger"),
        (DateInput("2023-12-31", "2024-01-01"), "date.default_value", "of at least 2024-01-01"),
    ],
)
def test_invalid_inputs_are_refused(input_: Input, path: str, words: str) -> None:
    found = faults(ask(input_))
    assert words in found[f"questions.questions[0].{path}"]


def test_invalid_questions_are_refused() -> None:
    def boolean_question(question_id: str, title: str = "T") -> Question:
        return Question(question_id=question_id, title=title, input=BooleanInput())

    for name in ("", "1a", "a b", "a" * 65, "é", "a\n", "-a"):
        assert "questions.questions[0].question_id" in faults(Questions((boolean_question(name),)))
    for name in ("a", "_", "A.b-c_9", "a" * 64):
        assert faults(Questions((boolean_question(name),))) == {}
    assert (
        "earlier"
        in faults(Questions((boolean_question("a"), boolean_question("a"))))[
            "questions.questions[1].question_id"
        ]
    )
    assert "questions.questions[0].title" in faults(Questions((boolean_question("a", " "),)))
    assert "questions.questions[0].title" in faults(Questions((boolean_question("a", "x" * 2000),)))
    assert (
        "at most 50"
        in faults(Questions(tuple(boolean_question(f"q{i}") for i in range(51))))["questions.questions"]
    )
    assert "at least one" in faults(Questions(()))["questions.questions"]
    with pytest.raises(BadFields) as caught:
        check_form(Questions(()), LIMITS, prefix="content.")
    assert caught.value.violations[0].field == "content.questions.questions"


def test_the_schema_is_derived_from_the_questions() -> None:
    form = Questions(
        (
            Question(
                question_id="z",
                title="Which?",
                help="Pick",
                required=True,
                input=SingleInput(POLICY, "standard"),
            ),
            Question(
                question_id="a",
                title="Other?",
                rationale="Law",
                input=MultiInput(POLICY, ("goodwill",), 1, 2, True),
            ),
            Question(question_id="d", title="When?", input=DateInput(None, "2024-01-01")),
            Question(question_id="n", title="How many?", input=IntegerInput(0, 0, 2**63 - 1)),
        )
    )
    choices = (
        '{"const":"standard","title":"Standard"},'
        '{"const":"goodwill","title":"goodwill","description":"Costs more"}'
    )
    assert derive_schema(form) == (
        '{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{'
        '"z":{"title":"Which?","description":"Pick","type":"string","oneOf":['
        + choices
        + '],"default":"standard"},'
        '"a":{"title":"Other?","description":"Law","type":"array","items":{"type":"string","anyOf":['
        + choices
        + ',{"type":"string","minLength":1,"title":"Other"}]},'
        '"uniqueItems":true,"minItems":1,"maxItems":2,"default":["goodwill"]},'
        '"d":{"title":"When?","type":"string","format":"date","formatMinimum":"2024-01-01"},'
        '"n":{"title":"How many?","type":"integer","format":"int64","minimum":0,'
        '"maximum":9223372036854775807,"default":0}'
        '},"required":["z"],"additionalProperties":false}'
    )
