"""Limits: the maximum passes, and one more is refused with the name of the limit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.checks import normalise
from askback_server.domain.content import (
    Audience,
    Correction,
    DefaultAnswer,
    FinalAction,
    Part,
    PromptContent,
)
from askback_server.domain.decisions import Decision, DecisionOption
from askback_server.domain.documents import content_to_json
from askback_server.domain.errors import InvalidField, LimitExceeded
from askback_server.domain.forms import IntegerInput, Question, Questions, SchemaForm
from askback_server.domain.json_text import Violation
from askback_server.domain.limits import Limits
from askback_server.domain.prompts import AnswerStatus
from tests.support.aggregates import HOUR, START, JobWorld, fields_of, question, running

LIMITS = Limits()
FORM = Questions((Question(question_id="n", title="?", required=True, input=IntegerInput()),))


def fields_in_refusal(content: PromptContent) -> set[str]:
    try:
        normalise(content, LIMITS, START)
    except InvalidField as refused:
        return {f.removeprefix("content.") for f in fields_of(refused)}
    return set()


def many(count: int, size: int = 1) -> tuple[Part, ...]:
    return tuple(Part(f"p{i}", text="x" * size) for i in range(count))


def correction(key: str, number: int, **text: str) -> Correction:
    """A correction with that many violations."""
    violation = Violation(**{"field": "values_json/n", "description": "x" * 1_000, **text})
    return Correction(key, (violation,) * number)


@pytest.mark.parametrize(
    ("good", "bad", "field"),
    [
        ({"title": "x" * 500}, {"title": "x" * 501}, "title"),
        ({"title": "x"}, {"title": ""}, "title"),
        *(
            ({"correction": correction("k", 20)}, {"correction": bad}, f"correction.{field}")
            for bad, field in (
                (correction("", 1), "key"),
                (correction("k" * 201, 1), "key"),
                (correction("k", 0), "violations"),
                (correction("k", 21), "violations"),
                (correction("k", 1, field=""), "violations[0].field"),
                (correction("k", 1, field="x" * 1_001), "violations[0].field"),
                (correction("k", 1, description=""), "violations[0].description"),
                (correction("k", 1, description="a\0"), "violations[0].description"),
            )
        ),
        ({"title": "x"}, {"title": "a\nb"}, "title"),
        ({"title": "ä"}, {"title": "\ud800"}, "title"),
        ({"kind": "a" * 128}, {"kind": "a" * 129}, "kind"),
        ({"kind": "my.kind-2_x"}, {"kind": "2x"}, "kind"),
        ({"kind": "x"}, {"kind": ""}, "kind"),
        ({"priority": 1000}, {"priority": 1001}, "priority"),
        ({"priority": -1000}, {"priority": -1001}, "priority"),
        ({"labels": {str(i): "" for i in range(32)}}, {"labels": {str(i): "" for i in range(33)}}, "labels"),
        ({"labels": {"k" * 128: "v" * 128}}, {"labels": {"k": "v" * 129}}, "labels['k']"),
        ({"timeout": timedelta(days=366)}, {"timeout": timedelta(days=366, microseconds=1)}, "timeout"),
        ({"timeout": timedelta(milliseconds=100)}, {"timeout": timedelta(milliseconds=99)}, "timeout"),
        ({"timeout": None}, {"timeout": timedelta(0)}, "timeout"),
        ({"metadata_json": '{"a":1}'}, {"metadata_json": "{"}, "metadata_json"),
        ({"parts": many(20)}, {"parts": many(21)}, "contents"),
        ({"parts": (Part("x"),)}, {"parts": (Part("x"), Part("x"))}, "contents[1].content_id"),
        ({"parts": (Part("x"),)}, {"parts": (Part(""),)}, "contents[0].content_id"),
        (
            {"parts": (Part("x", url="https://example.org/"),)},
            {"parts": (Part("x", url="javascript:alert(1)"),)},
            "contents[0].url",
        ),
        (
            {"parts": (Part("x", url="http://a.b/" + "c" * 2037),)},
            {"parts": (Part("x", url="http://a.b/" + "c" * 2038),)},
            "contents[0].url",
        ),
        (
            {"parts": (Part("x", text="t", editable=True),)},
            {"parts": (Part("x", url="http://a.b/", editable=True),)},
            "contents[0].editable",
        ),
        (
            {"audience": Audience(frozenset(map(str, range(60))), frozenset(map(str, range(40))))},
            {"audience": Audience(frozenset(map(str, range(60))), frozenset(map(str, range(41))))},
            "audience",
        ),
        ({"audience": Audience(frozenset({"x" * 200}))}, {"audience": Audience(frozenset({""}))}, "audience"),
        (
            {"decisions": (DecisionOption(Decision.ACCEPT, ""),)},
            {"decisions": (DecisionOption(Decision.ACCEPT, ""),) * 2},
            "decisions[1].decision",
        ),
        ({"form": FORM}, {"form": Questions(())}, "questions.questions"),
        ({"form": SchemaForm('{"type":"object"}')}, {"form": SchemaForm('{"type":"array"}')}, "schema_json"),
        ({"body": "x" * 500_000}, {"body": "ä" * 300_000}, "body"),
    ],
)
def test_each_field_of_a_content_is_bounded(good: dict[str, Any], bad: dict[str, Any], field: str) -> None:
    assert fields_in_refusal(question(**good)) == set()
    assert fields_in_refusal(question(**bad)) == {field}


def test_a_prompt_is_measured_whole_and_in_bytes() -> None:
    letters = LIMITS.content_bytes // 20
    base = len(content_to_json(normalise(question(parts=many(20)), LIMITS, START))) - 20
    fits = (*many(19, letters), Part("p19", text="x" * (LIMITS.content_bytes - 19 * letters - base)))
    content = normalise(question(parts=fits), LIMITS, START)
    assert len(content_to_json(content).encode()) == LIMITS.content_bytes
    assert fields_in_refusal(question("Go on??", parts=fits)) == {"contents"}
    assert fields_in_refusal(question(parts=fits, metadata_json="{}")) == {"contents"}
    umlauts = tuple(Part(f"p{i}", text="ä" * 30_000) for i in range(9))
    assert sum(len(p.text) for p in umlauts) < LIMITS.content_bytes
    assert fields_in_refusal(question(parts=umlauts)) == {"contents"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"final_action": FinalAction.DEFAULT, "timeout": HOUR}, "default_answer"),
        ({"default_answer": DefaultAnswer(Decision.ACCEPT)}, "default_answer"),
        (
            {"final_action": FinalAction.DEFAULT, "default_answer": DefaultAnswer(Decision.ACCEPT)},
            "timeout",
        ),
        (
            {
                "final_action": FinalAction.DEFAULT,
                "timeout": HOUR,
                "default_answer": DefaultAnswer(Decision.DISMISS),
            },
            "default_answer.decision",
        ),
        (
            {
                "final_action": FinalAction.DEFAULT,
                "timeout": HOUR,
                "form": FORM,
                "default_answer": DefaultAnswer(Decision.ACCEPT, '{"n":"x"}'),
            },
            "default_answer.values_json/n",
        ),
        (
            {
                "final_action": FinalAction.DEFAULT,
                "timeout": HOUR,
                "default_answer": DefaultAnswer(Decision.REVISE),
            },
            "default_answer.comment",
        ),
    ],
)
def test_a_default_must_be_an_answer_that_could_be_given(fields: dict[str, Any], field: str) -> None:
    assert fields_in_refusal(question(**fields)) == {field}


def test_the_number_of_open_prompts_is_bounded() -> None:
    world = running()
    world.limits = Limits(open_prompts_per_job=2)
    world.ask("a")
    world.ask("b")
    with pytest.raises(LimitExceeded) as refused:
        world.ask("c")
    assert refused.value.metadata == {"limit": "open_prompts_per_job", "value": "2"}
    world.ask("c", supersedes=("a",))
    world.ask("c", question("Amended?"))
    world.answer("x", "b")
    world.ask("d")


def test_the_number_of_prompts_is_bounded() -> None:
    world = running()
    world.limits = Limits(prompts_per_job=2)
    for key in "ab":
        world.ask(key)
        world.answer("x", key)
    with pytest.raises(LimitExceeded) as refused:
        world.ask("c")
    assert refused.value.metadata == {"limit": "prompts_per_job", "value": "2"}
    assert world.ask("a").replayed


def test_the_number_of_submissions_is_bounded_and_repeats_are_free() -> None:
    world = running()
    world.limits = Limits(submissions_per_prompt=2)
    world.ask("a")
    for number in "12":
        assert world.answer(number, revision=9).status is AnswerStatus.STALE
    with pytest.raises(LimitExceeded) as refused:
        world.answer("3")
    assert refused.value.metadata == {"limit": "submissions_per_prompt", "value": "2"}
    assert world.answer("1", revision=9).replayed


def test_the_number_of_checkpoints_is_bounded() -> None:
    world = running()
    world.limits = Limits(checkpoints_per_job=1)
    world.on_job(c.SaveCheckpoint, key="k", value_json="1")
    with pytest.raises(LimitExceeded):
        world.on_job(c.SaveCheckpoint, key="k", value_json="1")


@pytest.mark.parametrize("size", [LIMITS.json_bytes, LIMITS.json_bytes + 1])
def test_json_texts_are_bounded(size: int) -> None:
    text = '"' + "x" * (size - 2) + '"'
    for act in (
        lambda: JobWorld().create(input_json=text),
        lambda: running().complete(text),
        lambda: running().on_job(c.SaveCheckpoint, key="k", value_json=text),
    ):
        if size <= LIMITS.json_bytes:
            act()
        else:
            with pytest.raises(InvalidField, match="bytes"):
                act()


@pytest.mark.parametrize("text", ["{", '{"a":1,"a":2}', '"\\u0000"', "NaN", "1e999", "[" * 65 + "]" * 65])
def test_json_texts_that_cannot_be_stored_are_refused(text: str) -> None:
    for act in (
        lambda: JobWorld().create(input_json=text),
        lambda: running().complete(text),
        lambda: running().on_job(c.SaveCheckpoint, key="k", value_json=text),
    ):
        with pytest.raises(InvalidField):
            act()


@pytest.mark.parametrize("seconds", [0, 0.5, 86_401])
def test_the_duration_of_a_claim_is_bounded(seconds: float) -> None:
    world = running()
    world.ask("a")
    with pytest.raises(InvalidField) as refused:
        world.on_prompt(c.ClaimPrompt, duration=timedelta(seconds=seconds))
    assert fields_of(refused.value) == {"duration"}


def test_keys_and_reasons_are_bounded() -> None:
    world = running()
    for key in ("", "x" * 201, "a\0"):
        with pytest.raises(InvalidField):
            world.ask(key)
    world.ask("x" * 200)
    with pytest.raises(InvalidField):
        world.on_prompt(c.CancelPrompt, "x" * 200, reason="y" * 1001)
