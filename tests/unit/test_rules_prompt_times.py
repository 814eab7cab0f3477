"""The times of a prompt are checked when it is opened or amended, and not when it exists already."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain.content import (
    Audience,
    DefaultAnswer,
    EscalationStep,
    FinalAction,
    PromptContent,
    Reminders,
)
from askback_server.domain.decisions import CARRIES_VALUES, Decision
from askback_server.domain.errors import IdReused, InvalidField
from askback_server.domain.forms import IntegerInput, Question, Questions
from askback_server.domain.jobs import JobState
from askback_server.domain.limits import Limits
from askback_server.domain.prompts import PromptState
from tests.support.aggregates import HOUR, SECOND, START, JobWorld, fields_of, question, running

LEAST = Limits().authorising_default_min
FORM = Questions((Question(question_id="n", title="?", input=IntegerInput()),))
MICROSECOND = timedelta(microseconds=1)


def default(decision: Decision, **times: Any) -> PromptContent:
    """A prompt with a form whose default answer has this decision."""
    kind = "clarify" if decision in (Decision.RESPOND, Decision.DISMISS) else "preview"
    values = '{"n":1}' if decision in CARRIES_VALUES else ""
    answer = DefaultAnswer(decision, values, "why" if decision is Decision.REVISE else "")
    return question(kind=kind, form=FORM, final_action=FinalAction.DEFAULT, default_answer=answer, **times)


def workerless(content: PromptContent) -> JobWorld:
    world = JobWorld()
    world.create(content)
    return world


def ask(content: PromptContent) -> JobWorld:
    world = running()
    world.ask(content=content)
    return world


WAYS = {"ask": (ask, "content."), "create": (workerless, "prompt.")}
BAD = [
    ({"timeout": timedelta(0)}, {"timeout"}),
    ({"timeout": -HOUR}, {"timeout"}),
    ({"timeout": timedelta.min}, {"timeout"}),
    ({"timeout": timedelta.max}, {"timeout"}),
    ({"timeout": timedelta(milliseconds=99)}, {"timeout"}),
    ({"deadline": START}, {"deadline"}),
    ({"deadline": START - MICROSECOND}, {"deadline"}),
    ({"deadline": START.replace(year=1)}, {"deadline"}),
    ({"deadline": START.replace(year=9999)}, {"deadline"}),
    ({"deadline": START + timedelta(milliseconds=99)}, {"deadline"}),
    ({"deadline": START + HOUR, "timeout": HOUR}, {"deadline"}),
    ({"escalation": (EscalationStep(timedelta(0), raise_priority=1),)}, {"escalation[0].after"}),
    ({"escalation": (EscalationStep(-SECOND, raise_priority=1),)}, {"escalation[0].after"}),
    (
        {"deadline": START + HOUR, "escalation": (EscalationStep(HOUR, raise_priority=1),)},
        {"escalation[0].after"},
    ),
    ({"reminders": Reminders(timedelta(0), HOUR)}, {"reminders.every"}),
    ({"reminders": Reminders(HOUR, -HOUR)}, {"reminders.after"}),
    ({"deadline": START + HOUR, "reminders": Reminders(HOUR, HOUR)}, {"reminders.after"}),
    ({"title": "", "deadline": START}, {"title", "deadline"}),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("times", "fields"), BAD)
def test_a_new_prompt_with_contradictory_times_is_refused(
    way: str, times: dict[str, Any], fields: set[str]
) -> None:
    ask, prefix = WAYS[way]
    with pytest.raises(InvalidField) as refused:
        ask(question(**times))
    got = {f for f in fields_of(refused.value) if not f.endswith("escalation[0].after") or len(fields) == 1}
    assert {f.removeprefix(prefix) for f in got} == fields


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("decision", Decision)
def test_an_authorising_default_needs_a_minimum_time(way: str, decision: Decision) -> None:
    ask, prefix = WAYS[way]
    short = LEAST - MICROSECOND
    for times in ({"timeout": short}, {"deadline": START + short}):
        if decision not in (Decision.ACCEPT, Decision.EDIT):
            ask(default(decision, **times))
            continue
        with pytest.raises(InvalidField, match="at least 1 s") as refused:
            ask(default(decision, **times))
        assert fields_of(refused.value) == {prefix + next(iter(times))}
    ask(default(decision, timeout=LEAST))
    ask(default(decision, deadline=START + LEAST))


def test_the_minimum_time_of_an_authorising_default_is_configurable() -> None:
    world = JobWorld(limits=Limits(authorising_default_min=HOUR))
    with pytest.raises(InvalidField, match="at least 3600 s"):
        world.create(default(Decision.ACCEPT, timeout=HOUR - SECOND))
    world.create(default(Decision.ACCEPT, timeout=HOUR))


def test_a_short_authorising_default_is_refused_with_escalation() -> None:
    step = EscalationStep(timedelta(milliseconds=200), Audience(groups=frozenset({"law"})))
    with pytest.raises(InvalidField) as refused:
        ask(default(Decision.ACCEPT, timeout=SECOND / 2, escalation=(step,)))
    assert fields_of(refused.value) == {"content.timeout"}


def test_a_deadline_sets_when_the_prompt_expires() -> None:
    world = ask(question(deadline=START + HOUR))
    prompt = world.prompt()
    assert prompt.expires_at == START + HOUR
    assert (prompt.content.timeout, prompt.content.deadline) == (HOUR, None)
    world.tick(HOUR).expire()
    assert world.prompt().state is PromptState.EXPIRED


@pytest.mark.parametrize(
    "late",
    [
        {"deadline": START + HOUR},
        {"deadline": START - HOUR},
        {"timeout": timedelta(0)},
        {"timeout": -HOUR},
        {"timeout": timedelta.max},
        {"deadline": START + 2 * HOUR, "escalation": (EscalationStep(2 * HOUR, raise_priority=1),)},
    ],
)
def test_asking_again_returns_the_prompt_and_its_answer_at_any_time(late: dict[str, Any]) -> None:
    world = ask(question(deadline=START + 2 * HOUR))
    world.tick(1.5 * HOUR)
    again = world.ask(content=question(**late))
    assert (again.replayed, again.prompt) == (True, world.prompt())
    world.answer()
    world.tick(HOUR)
    again = world.ask(content=question(**late))
    assert again.prompt.resolution is not None
    assert again.prompt.state is PromptState.ANSWERED
    assert again.prompt.expires_at == START + 2 * HOUR


def test_asking_again_for_a_default_that_would_be_refused_today_returns_the_prompt() -> None:
    world = JobWorld(limits=Limits(authorising_default_min=timedelta(milliseconds=1)))
    world.create()
    world.lease()
    world.ask(content=default(Decision.ACCEPT, timeout=SECOND / 5))
    world.limits = Limits()
    assert world.ask(content=default(Decision.ACCEPT, timeout=SECOND / 5)).replayed


def test_the_same_request_returns_its_job_after_the_deadline() -> None:
    world = JobWorld()
    content = question(deadline=START + HOUR)
    made = world.create(content, request_id="r")
    world.tick(2 * HOUR).expire()
    again = world.create(content, request_id="r")
    assert again.replayed
    assert again.job.job_id == made.job.job_id
    assert again.prompt is not None
    assert again.prompt.state is PromptState.EXPIRED
    with pytest.raises(IdReused):
        world.create(question(deadline=START + 2 * HOUR), request_id="r")


@pytest.mark.parametrize(
    ("times", "field"),
    [
        ({"deadline": START + HOUR}, "content.deadline"),
        ({"timeout": -HOUR}, "content.timeout"),
        ({"timeout": timedelta(0)}, "content.timeout"),
    ],
)
def test_an_amendment_is_judged_like_a_new_prompt(times: dict[str, Any], field: str) -> None:
    world = ask(question(deadline=START + 3 * HOUR))
    world.tick(2 * HOUR)
    with pytest.raises(InvalidField) as refused:
        world.ask(content=question("Other?", **times))
    assert fields_of(refused.value) == {field}
    assert (world.prompt().revision, world.state) == (1, JobState.PENDING_HITL)
    world.ask(content=question("Other?", deadline=START + 3 * HOUR))
    assert (world.prompt().revision, world.prompt().expires_at) == (2, START + 3 * HOUR)
    assert (world.prompt().content.timeout, world.prompt().content.deadline) == (HOUR, None)


@pytest.mark.parametrize("short", [{"timeout": SECOND / 2}, {"deadline": START + SECOND / 2}])
def test_an_amendment_may_not_shorten_an_authorising_default(short: dict[str, Any]) -> None:
    world = ask(default(Decision.ACCEPT, timeout=HOUR))
    with pytest.raises(InvalidField, match="at least 1 s"):
        world.ask(content=default(Decision.ACCEPT, title="Other?", **short))
    assert world.prompt().expires_at == START + HOUR


def test_another_question_under_a_closed_key_is_refused_whatever_its_times() -> None:
    world = ask(question())
    world.answer()
    with pytest.raises(IdReused):
        world.ask(content=question("Other?", deadline=START - HOUR))


def test_a_start_in_the_past_means_at_once() -> None:
    for past in (START - HOUR, START.replace(year=1)):
        world = JobWorld()
        world.create(start_at=past)
        assert world.job.ready_at == START
