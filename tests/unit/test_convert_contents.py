"""Prompt contents survive the round trip message -> domain -> stored document -> domain -> message."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback.v1 import prompt_pb2 as pb
from askback_server.domain.checks import normalise
from askback_server.domain.content import Correction, FinalAction, PromptContent
from askback_server.domain.documents import content_to_json, parse_content
from askback_server.domain.errors import InvalidField
from askback_server.domain.forms import SchemaForm
from askback_server.domain.json_text import Violation
from askback_server.domain.limits import Limits
from askback_server.transport.convert import contents
from askback_server.transport.convert.contents import content, content_bytes
from askback_server.transport.convert.values import duration
from tests.support.wire_samples import full_content


def render(value: PromptContent) -> pb.PromptContent:
    return pb.PromptContent.FromString(content_bytes(value))


def without_output(message: pb.PromptContent) -> pb.PromptContent:
    copy = pb.PromptContent()
    copy.CopyFrom(message)
    copy.ClearField("derived_schema_json")
    return copy


def through_storage(value: PromptContent) -> PromptContent:
    stored = parse_content(content_to_json(value))
    assert stored == value
    assert stored.digest == value.digest
    return stored


def test_a_full_content_survives_the_round_trip() -> None:
    sent = full_content()
    value = content(sent, "content")
    assert normalise(value, Limits(), None) == value
    assert without_output(render(through_storage(value))) == sent


def test_a_correction_is_part_of_the_question() -> None:
    """And a content without one has the digest that versions before corrections stored."""
    plain = PromptContent("confirm", "Deploy 1.4?", body="Now")
    assert plain.digest == "114aa9899d7cab1caee27c1a0a46cded"
    one, other = (
        replace(plain, correction=Correction("k", (Violation("values_json", text),))) for text in ("a", "b")
    )
    assert len({plain.digest, one.digest, other.digest}) == 3
    assert replace(one, correction=Correction("k2", one.correction.violations)).digest != one.digest  # type: ignore[union-attr]
    assert one.size == plain.size + len("values_json") + 1


def test_the_schema_of_questions_is_derived_and_not_read_from_a_request() -> None:
    sent = full_content()
    sent.derived_schema_json = '{"type":"null"}'
    value = content(sent, "content")
    assert value == content(without_output(sent), "content")
    schema = json.loads(render(value).derived_schema_json)
    assert list(schema["properties"])[:3] == ["yes", "policy", "tags"]
    assert schema["required"] == ["policy"]


def test_a_schema_form_keeps_its_text() -> None:
    text = ' {"type": "object",  "properties": {"b": {}, "a": {}}}'
    sent = pb.PromptContent(kind="x", title="t", schema_json=text, final_action=pb.FINAL_ACTION_FAIL_JOB)
    value = content(sent, "content")
    assert value.form == SchemaForm(text)
    assert render(through_storage(value)) == sent


def test_unset_fields_take_their_defaults() -> None:
    value = content(pb.PromptContent(), "content")
    assert value == PromptContent(kind="", title="", blocking=False)
    assert value.final_action is FinalAction.EXPIRE
    message = render(value)
    assert message.final_action == pb.FINAL_ACTION_EXPIRE
    assert not message.HasField("audience")
    assert not message.HasField("timeout")
    assert message.WhichOneof("form") is None


def test_the_first_reminder_comes_after_one_interval_by_default() -> None:
    sent = pb.PromptContent(reminders=pb.Reminders(every=duration(timedelta(minutes=3))))
    reminders = content(sent, "content").reminders
    assert reminders is not None
    assert (reminders.after, reminders.every) == (timedelta(minutes=3), timedelta(minutes=3))


def test_a_default_answers_values_lose_their_outer_whitespace() -> None:
    sent = full_content()
    sent.default_answer.values_json = '\n {"policy": "standard"}\t'
    default = content(sent, "content").default_answer
    assert default is not None
    assert default.values_json == '{"policy": "standard"}'


def test_a_refusal_names_all_invalid_fields_at_once() -> None:
    sent = pb.PromptContent(
        questions=pb.QuestionForm(questions=[pb.Question(question_id="a"), pb.Question(question_id="b")]),
        decisions=[pb.DecisionOption(), pb.DecisionOption(decision=99)],
        default_answer=pb.DefaultAnswer(),
        final_action=99,
    )
    sent.timeout.nanos = 10**9
    sent.escalation.add().after.seconds = -1
    sent.escalation.add()
    sent.reminders.after.seconds = -1
    with pytest.raises(InvalidField) as refused:
        content(sent, "prompt")
    assert {v.field for v in refused.value.violations} == {
        "prompt.questions.questions[0].input",
        "prompt.questions.questions[1].input",
        "prompt.decisions[0].decision",
        "prompt.decisions[1].decision",
        "prompt.default_answer.decision",
        "prompt.final_action",
        "prompt.timeout",
        "prompt.escalation[0].after",
        "prompt.escalation[1].after",
        "prompt.reminders.every",
        "prompt.reminders.after",
    }


def test_the_cache_of_messages_is_bounded_and_never_mixes_contents_up() -> None:
    for number in range(2_000):
        value = PromptContent(kind="x", title=str(number))
        assert render(value).title == str(number)
        first = render(value)
        first.title = "changed by a caller"
        assert render(value).title == str(number)
    assert len(contents.content_bytes) <= 512


def test_a_large_content_is_not_cached() -> None:
    value = PromptContent(kind="x", title="t", body="b" * 100_000)
    before = len(contents.content_bytes)
    assert render(value) == render(value)
    assert len(contents.content_bytes) == before


_text = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
_options = st.lists(
    st.builds(pb.Option, value=_text, title=_text, description=_text, recommended=st.booleans()), max_size=3
)
_inputs = st.one_of(
    st.builds(lambda v: {"boolean": v}, st.builds(pb.BooleanInput, default_value=st.booleans())),
    st.builds(
        lambda v: {"single": v},
        st.builds(
            pb.SingleInput, options=_options, default_value=st.none() | _text, allow_other=st.booleans()
        ),
    ),
    st.builds(
        lambda v: {"multi": v},
        st.builds(
            pb.MultiInput,
            options=_options,
            default_values=st.lists(_text, max_size=2),
            min_items=st.none() | st.integers(0, 9),
            max_items=st.none() | st.integers(0, 9),
            allow_other=st.booleans(),
        ),
    ),
    st.builds(
        lambda v: {"text": v},
        st.builds(
            pb.TextInput,
            default_value=st.none() | _text,
            min_length=st.none() | st.integers(0, 9),
            max_length=st.none() | st.integers(0, 9),
            pattern=_text,
            multiline=st.booleans(),
        ),
    ),
    st.builds(
        lambda v: {"number": v},
        st.builds(
            pb.NumberInput,
            default_value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
            minimum=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        ),
    ),
    st.builds(
        lambda v: {"integer": v},
        st.builds(pb.IntegerInput, default_value=st.none() | st.integers(-(2**63), 2**63 - 1)),
    ),
    st.builds(lambda v: {"date": v}, st.builds(pb.DateInput, default_value=st.none() | _text, minimum=_text)),
)
_questions = st.builds(
    lambda q, i: pb.Question(**q, **i),
    st.fixed_dictionaries(
        {
            "question_id": _text,
            "title": _text,
            "help": _text,
            "required": st.booleans(),
            "rationale": _text,
        }
    ),
    _inputs,
)
_spans = st.timedeltas(timedelta(microseconds=1), timedelta(days=366)).map(duration)
_names = st.sets(_text, max_size=2).map(sorted)
_contents = st.builds(
    pb.PromptContent,
    kind=_text,
    title=_text,
    body=_text,
    questions=st.builds(pb.QuestionForm, questions=st.lists(_questions, max_size=4)),
    decisions=st.lists(
        st.builds(
            pb.DecisionOption,
            decision=st.sampled_from(range(1, 7)),
            label=_text,
            comment_required=st.booleans(),
        ),
        max_size=3,
    ),
    priority=st.integers(-1000, 1000),
    labels=st.dictionaries(_text, _text, max_size=3),
    blocking=st.booleans(),
    final_action=st.sampled_from([1, 2, 3]),
    timeout=st.none() | _spans,
    metadata_json=_text,
    escalation=st.lists(
        st.builds(
            pb.EscalationStep,
            after=_spans,
            to=st.builds(pb.Audience, users=_names, groups=_names),
            replace=st.booleans(),
            raise_priority=st.integers(0, 2000),
        ),
        max_size=3,
    ),
    reminders=st.none() | st.builds(pb.Reminders, after=_spans, every=_spans, max_count=st.integers(0, 1000)),
)


@given(_contents)
def test_any_content_survives_the_round_trip(sent: pb.PromptContent) -> None:
    value = content(sent, "content")
    assert without_output(render(through_storage(value))) == sent


def test_equal_forms_are_one_object_that_is_checked_once_for_its_limits() -> None:
    asked, other = full_content(), full_content()
    other.title, other.questions.questions[0].title = "Another?", "No?"
    first, again, changed = (content(message, "content") for message in (asked, full_content(), other))
    assert first.form is again.form
    assert first.form != changed.form
    assert normalise(first, Limits(), None).form is again.form
    strict = replace(Limits(), forms=replace(Limits().forms, max_questions=1))
    for _ in range(2):
        with pytest.raises(InvalidField, match="at most 1 are allowed"):
            normalise(again, strict, None)


def test_a_question_without_a_type_is_refused_each_time_it_is_asked() -> None:
    asked = full_content()
    asked.questions.questions.add(question_id="untyped", title="?")
    asked.questions.questions.add(question_id="typed", title="?").text.SetInParent()
    at = f"content.questions.questions[{len(asked.questions.questions) - 2}].input"
    for _ in range(2):
        with pytest.raises(InvalidField) as refused:
            content(asked, "content")
        assert [v.field for v in refused.value.violations] == [at]


def test_large_forms_are_not_kept() -> None:
    asked = full_content()
    asked.questions.questions[0].help = "x" * 3000
    first, again = content(asked, "content"), content(asked, "content")
    assert first.form == again.form
    assert first.form is not again.form
