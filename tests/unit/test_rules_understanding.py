"""The deep-understanding state: written under the fencing token and updated by prompts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.commands import SessionRef
from askback_server.domain.content import FinalAction
from askback_server.domain.decisions import Decision
from askback_server.domain.errors import IllegalState, InvalidField, LeaseLost, VersionMismatch
from askback_server.domain.events import EventType
from askback_server.domain.forms import IntegerInput, Question, Questions
from askback_server.domain.jobs import DeepUnderstanding
from tests.support.aggregates import (
    HOUR,
    OTHER_WORKER,
    S1,
    S2,
    WORKER,
    JobWorld,
    deadline,
    fields_of,
    question,
    running,
)

FORM = Questions((Question(question_id="n", title="How many?", input=IntegerInput()),))
DEEP = question("What for?", kind="deep_understanding", form=FORM)


def update(world: JobWorld, **fields: Any) -> DeepUnderstanding:
    state: DeepUnderstanding = world.on_job(c.UpdateUnderstanding, **fields)
    return state


def test_questions_and_answers_are_appended() -> None:
    world = running()
    world.ask("a", DEEP)
    state = world.aggregate.understanding
    assert state is not None
    assert json.loads(state.questions_asked_json) == [
        {"prompt_id": world.prompt().prompt_id, "round": 1, "title": "What for?"}
    ]
    assert (state.answers_json, state.version, world.job.understanding_version) == ("[]", 1, 1)
    values = '{ "n":  9007199254740993 }'
    world.answer(decision=Decision.RESPOND, values_json=values, comment="many")
    state = world.aggregate.understanding
    assert state is not None
    assert values in state.answers_json, "exactly as sent"
    assert json.loads(state.answers_json) == [
        {
            "prompt_id": world.prompt().prompt_id,
            "round": 1,
            "decision": "RESPOND",
            "values": {"n": 9007199254740993},
            "comment": "many",
        }
    ]
    assert (state.version, state.updated_at) == (2, world.now)


def test_arrays_written_by_a_worker_are_kept() -> None:
    world = running()
    update(world, values={"questions_asked_json": ' [ {"mine": 1.0} ] ', "answers_json": "[ ]"})
    world.ask("a", DEEP)
    world.answer(decision=Decision.RESPOND, values_json="{}")
    state = world.aggregate.understanding
    assert state is not None
    assert state.questions_asked_json.startswith('[{"mine": 1.0},{')
    assert len(json.loads(state.questions_asked_json)) == 2
    assert len(json.loads(state.answers_json)) == 1


def test_a_default_is_appended_and_an_expiry_is_not() -> None:
    world = running()
    world.ask("a", deadline(FinalAction.DEFAULT, kind="deep_understanding"))
    world.ask("b", deadline(FinalAction.EXPIRE, kind="deep_understanding"))
    world.tick(HOUR).expire()
    state = world.aggregate.understanding
    assert state is not None
    (answer,) = json.loads(state.answers_json)
    assert (answer["decision"], answer["values"]) == ("REJECT", None)
    assert len(json.loads(state.questions_asked_json)) == 2


def test_other_kinds_and_refused_answers_do_not_change_the_understanding() -> None:
    world = running()
    world.ask("a", question())
    world.answer()
    assert world.aggregate.understanding is None
    world.ask("b", DEEP)
    world.answer("x", "b", decision=Decision.RESPOND, values_json='{"n":"?"}')
    world.answer("y", "b", decision=Decision.RESPOND, revision=9)
    assert world.aggregate.understanding is not None
    assert world.aggregate.understanding.answers_json == "[]"


def test_an_update_changes_only_the_fields_it_names() -> None:
    world = running()
    state = update(world, values={"readiness_score": 0.5, "user_problem": "late\nrefunds"})
    assert (state.readiness_score, state.user_problem, state.complete) == (0.5, "late\nrefunds", False)
    assert world.events() == [EventType.UNDERSTANDING_UPDATED]
    assert world.log[-1].data == {"version": 1}
    state = update(world, values={"complete": True}, expected_version=1)
    assert (state.readiness_score, state.complete, state.version) == (0.5, True, 2)
    with pytest.raises(VersionMismatch) as refused:
        update(world, values={"complete": False}, expected_version=1)
    assert refused.value.metadata == {"version": "2"}


def test_the_holder_writes_the_understanding_under_token_and_live_session() -> None:
    world = running()
    update(world, principal=WORKER, token=1, values={"complete": True})
    assert world.guard.session == SessionRef(S1.session_id, 0)
    update(world, values={"complete": True})
    assert world.guard.session is None, "a client needs no lease"
    for fields in ({"token": 0}, {"token": 2}, {"token": 1, "principal": OTHER_WORKER}):
        with pytest.raises(LeaseLost):
            update(world, **{"principal": WORKER, "values": {"complete": False}, **fields})
    world.dead.add(S1.session_id)
    with pytest.raises(LeaseLost):
        update(world, principal=WORKER, token=1, values={"complete": False})
    world.dead.clear()
    world.release().lease(S2)
    with pytest.raises(LeaseLost):
        update(world, principal=WORKER, token=1, values={"complete": False})


def test_the_understanding_of_an_ended_job_cannot_be_changed() -> None:
    world = running()
    world.complete()
    with pytest.raises(IllegalState):
        update(world, values={"complete": True})


def test_the_fields_of_the_understanding_are_checked() -> None:
    world = running()
    with pytest.raises(InvalidField) as refused:
        update(world, values={"readiness_score": float("nan"), "answers_json": "{}", "user_problem": "\0"})
    assert fields_of(refused.value) == {
        "deep_understanding.readiness_score",
        "deep_understanding.answers_json",
        "deep_understanding.user_problem",
    }
    for text in ("", "[", '"["'):
        with pytest.raises(InvalidField):
            update(world, values={"research_performed_json": text})
