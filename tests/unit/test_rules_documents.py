"""Contents, answers and resolutions survive being stored as documents."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback_server.domain.answers import Answer, AnswerSource
from askback_server.domain.checks import normalise
from askback_server.domain.content import (
    Audience,
    Correction,
    DefaultAnswer,
    EscalationStep,
    FinalAction,
    Part,
    PromptContent,
    Reminders,
)
from askback_server.domain.decisions import Decision, DecisionOption, Edit
from askback_server.domain.documents import (
    answer_from_json,
    answer_to_json,
    append_to_array,
    content_to_json,
    parse_content,
    resolution_from_json,
    resolution_to_json,
)
from askback_server.domain.forms import (
    BooleanInput,
    DateInput,
    Form,
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
from askback_server.domain.json_text import Violation
from askback_server.domain.limits import Limits
from askback_server.domain.prompts import PromptState, Resolution

AT = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
OPTIONS = (Option("a", "A", "first", True), Option("b"))
ALL_INPUTS = Questions(
    tuple(
        Question(question_id=f"q{i}", title="Q", input=input_, help="h", required=i % 2 == 0, rationale="r")
        for i, input_ in enumerate(
            [
                BooleanInput(True),
                SingleInput(OPTIONS, "a", True),
                MultiInput(OPTIONS, ("a", "b"), 1, 2),
                TextInput("x", 0, 9, "^.*$", True),
                IntegerInput(2**63 - 1, -(2**63), 2**63 - 1),
                NumberInput(0.1, 0.0, 1e300),
                DateInput("2030-01-02", "2030-01-01", ""),
                BooleanInput(),
                MultiInput(OPTIONS),
                TextInput(),
                IntegerInput(),
                NumberInput(),
            ]
        )
    )
)
SCHEMA = '{ "type":"object",  "properties":{"z":{"const":18446744073709551615},"a":{}} }'

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
floats = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | floats | texts
values = st.dictionaries(texts, st.recursive(scalars, lambda s: st.lists(s) | st.dictionaries(texts, s)))
forms: st.SearchStrategy[Form | None] = st.sampled_from([None, ALL_INPUTS, SchemaForm(SCHEMA)])
ids = st.from_regex(r"[a-z]{1,5}", fullmatch=True)
names = st.frozensets(texts, max_size=3)
spans = st.timedeltas(timedelta(milliseconds=100), timedelta(days=366))


violations = st.lists(st.builds(Violation, texts, texts), max_size=2).map(tuple)


@st.composite
def contents(draw: st.DrawFn) -> PromptContent:
    return PromptContent(
        kind=draw(texts),
        title=draw(texts),
        body=draw(texts),
        parts=tuple(
            draw(st.lists(st.builds(Part, ids, texts, texts, texts, texts, st.booleans()), max_size=2))
        ),
        form=draw(forms),
        decisions=tuple(
            draw(st.lists(st.builds(DecisionOption, st.sampled_from(Decision), texts, st.booleans())))
        ),
        priority=draw(st.integers(-1000, 1000)),
        audience=draw(st.builds(Audience, names, names)),
        labels=draw(st.dictionaries(texts, texts, max_size=3)),
        blocking=draw(st.booleans()),
        final_action=draw(st.sampled_from(FinalAction)),
        default_answer=draw(
            st.none() | st.builds(DefaultAnswer, st.sampled_from(Decision), values.map(json.dumps), texts)
        ),
        metadata_json=draw(st.just("") | values.map(json.dumps)),
        timeout=draw(st.none() | spans),
        escalation=tuple(
            draw(
                st.lists(
                    st.builds(
                        EscalationStep,
                        spans,
                        st.builds(Audience, names, names),
                        st.booleans(),
                        st.integers(0, 9),
                    ),
                    max_size=3,
                )
            )
        ),
        reminders=draw(st.none() | st.builds(Reminders, spans, spans, st.integers(0, 9))),
        correction=draw(st.none() | st.builds(Correction, texts, violations)),
    )


@given(contents())
def test_every_content_survives_its_document(content: PromptContent) -> None:
    text = content_to_json(content)
    again = parse_content(text)
    assert again == content
    assert content_to_json(again) == text
    assert again.digest == content.digest


@pytest.mark.parametrize("form", [None, ALL_INPUTS, SchemaForm(SCHEMA)])
def test_a_checked_content_survives_its_document(form: Form | None) -> None:
    content = normalise(PromptContent("preview", "Go on?", form=form), Limits(), None)
    assert parse_content(content_to_json(content)) == content


def test_labels_and_audience_are_read_the_same_in_any_order() -> None:
    one = PromptContent("x", "t", audience=Audience(frozenset("abc"), frozenset("de")))
    other = PromptContent("x", "t", audience=Audience(frozenset("cab"), frozenset("ed")))
    assert content_to_json(one) == content_to_json(other)


def answer(text: str, comment: str = "", edits: tuple[Edit, ...] = ()) -> Answer:
    return Answer("a1", Decision.EDIT, text, edits, comment, AnswerSource.HUMAN, "ann", 3, AT)


NO_JSON = ["{bad", "nul", "{} {}", " ", '{"values":1', "\x01", "[" * 600 + "]" * 600]
SENT = [
    "",
    "{}",
    '{"b":1,"a":2}',
    '{ "n" : 9007199254740993 }',
    "null",
    " null",
    "[1,2]",
    '" , "',
    "0",
    "true",
    "18446744073709551616",
    '{"n":18446744073709551615,"m":-9223372036854775808}',
    '{"f":1.0,"e":1e2,"x":0.1000}',
    '\n\t {"a": [1, 2]}  \r\n',
    '{"a":"}],\\"\\u00e4"}',
    ' {"answer_id":"other","values":{}} ',
]


@pytest.mark.parametrize("sent", SENT + NO_JSON)
def test_values_survive_byte_for_byte(sent: str) -> None:
    text = answer_to_json(answer(sent))
    again, doc = answer_from_json(text)
    assert again == answer(sent)
    assert json.loads(text) == doc
    if sent and sent not in NO_JSON:
        assert doc["values"] == json.loads(sent)
        assert list(doc) == ["values", *(k for k in doc if k != "values")]
    else:
        assert "values" not in doc
    resolution = Resolution(PromptState.ANSWERED, "ann", AT, "", answer(sent))
    assert resolution_from_json(resolution_to_json(resolution)) == resolution


@given(values, st.sampled_from([None, 2]), st.booleans(), texts, st.lists(st.builds(Edit, texts, texts)))
def test_every_answer_survives_its_document(
    sent: dict[str, object], indent: int | None, ascii_only: bool, comment: str, edits: list[Edit]
) -> None:
    given_answer = answer(json.dumps(sent, indent=indent, ensure_ascii=ascii_only), comment, tuple(edits))
    text = answer_to_json(given_answer)
    assert answer_from_json(text)[0] == given_answer
    assert json.loads(text)["values"] == sent


@pytest.mark.parametrize("state", [PromptState.EXPIRED, PromptState.CANCELLED, PromptState.SUPERSEDED])
def test_a_resolution_without_an_answer_survives_its_document(state: PromptState) -> None:
    resolution = Resolution(state, "system", AT, 'why "not"')
    assert resolution_from_json(resolution_to_json(resolution)) == resolution


def test_arrays_grow_without_being_rewritten() -> None:
    one = append_to_array(" [\n ] ", {"a": 'x"y', "v": '{ "n": 1.0 }'}, raw=("v",))
    assert one == '[{"a":"x\\"y","v":{ "n": 1.0 }}]'
    assert append_to_array(one, {"b": None}) == '[{"a":"x\\"y","v":{ "n": 1.0 }},{"b":null}]'
