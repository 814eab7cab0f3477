"""A verdict is true only for an acceptance, and a coroutine that was not awaited is never true."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from askback import Client, DecisionKind, PromptState, Run, Verdict
from askback._client.unawaited import must_await
from askback._client.verdict import values_of, verdict_of
from askback._model.json_text import dumps
from askback._model.prompts import PromptInfo
from askback._worker.job import Job
from askback.v1 import prompt_pb2 as pb

AT = datetime(2026, 11, 29, 12, 30, 0, 123456, UTC)


def prompt_of(state: int, decision: int | None = None, **answer: Any) -> PromptInfo:
    """A closed prompt."""
    prompt = pb.Prompt(prompt_id="p", content=pb.PromptContent(title="Deploy?"))
    prompt.state = prompt.resolution.state = cast(Any, state)
    prompt.resolution.time.FromDatetime(AT)
    if decision is not None:
        given = pb.Answer(answer_id="a", user_id="ana", revision=1, source=pb.ANSWER_SOURCE_HUMAN)
        given.create_time.FromDatetime(AT)
        given.MergeFrom(pb.Answer(**answer))
        given.decision = cast(Any, decision)
        prompt.resolution.answer.CopyFrom(given)
    return PromptInfo(prompt)


def verdict(state: int, decision: int | None = None, **answer: Any) -> Verdict[Any]:
    found = prompt_of(state, decision, **answer)
    return verdict_of(found, values_of(found, None))


UNKNOWN = 99
"""A decision or state of a newer server."""


@pytest.mark.parametrize("decision", [None, UNKNOWN, *pb.Decision.values()])
@pytest.mark.parametrize("state", [UNKNOWN, *pb.PromptState.values()])
def test_only_an_answer_that_accepts_is_true(state: int, decision: int | None) -> None:
    """Every state with every decision, including zero values and unknown ones."""
    yes = state == pb.PROMPT_STATE_ANSWERED and decision in (pb.DECISION_ACCEPT, pb.DECISION_EDIT)
    assert bool(verdict(state, decision)) is yes


@pytest.mark.parametrize(
    ("decision", "answer", "answered", "values"),
    [
        (pb.DECISION_RESPOND, {"values_json": '{"n":1}'}, True, {"n": 1}),
        (pb.DECISION_RESPOND, {"comment": "in words"}, True, None),
        (
            pb.DECISION_RESPOND,
            {"source": pb.ANSWER_SOURCE_TIMEOUT_DEFAULT, "values_json": '{"n":1}'},
            False,
            {"n": 1},
        ),
        (pb.DECISION_RESPOND, {"source": pb.ANSWER_SOURCE_TEST, "values_json": '{"n":1}'}, True, {"n": 1}),
        (pb.DECISION_ACCEPT, {}, False, None),
        (pb.DECISION_ACCEPT, {"values_json": '{"n":1}'}, True, {"n": 1}),
        (pb.DECISION_EDIT, {"edits": [pb.Edit(content_id="a", text="b")]}, False, None),
        (pb.DECISION_REJECT, {"comment": "no"}, False, None),
        (UNKNOWN, {"values_json": '{"n":1}'}, False, None),
    ],
)
def test_only_an_answer_has_values(
    decision: int, answer: dict[str, Any], answered: bool, values: Any
) -> None:
    found = verdict(pb.PROMPT_STATE_ANSWERED, decision, **answer)
    assert (found.answered, found.values) == (answered, values)


def test_silence_is_distinguished_from_a_persons_answer() -> None:
    silent = verdict(
        pb.PROMPT_STATE_ANSWERED, pb.DECISION_ACCEPT, source=pb.ANSWER_SOURCE_TIMEOUT_DEFAULT, comment="late"
    )
    assert bool(silent) is silent.by_default is True
    assert verdict(pb.PROMPT_STATE_ANSWERED, pb.DECISION_ACCEPT).by_default is False
    assert "by default" in repr(silent)


def test_the_keys_of_the_resolution_work_as_in_a_dict() -> None:
    found = verdict(
        pb.PROMPT_STATE_ANSWERED,
        pb.DECISION_EDIT,
        values_json='{"n":1}',
        edits=[pb.Edit(content_id="a", text="b")],
        comment="so",
    )
    as_dict = dict(found)
    assert as_dict == {
        "values": {"n": 1},
        "answer_id": "a",
        "decision": "EDIT",
        "comment": "so",
        "edits": [{"content_id": "a", "text": "b"}],
        "source": "HUMAN",
        "user_id": "ana",
        "revision": 1,
        "at": AT.isoformat(),
        "state": "ANSWERED",
        "actor": "",
        "reason": "",
        "resolved_at": AT.isoformat(),
    }
    assert found["decision"] == found.get("decision") == "EDIT"
    assert list(found) == list(as_dict) == found.keys()
    assert (len(found), found.items()) == (len(as_dict), list(as_dict.items()))
    assert "values" in found
    expired = verdict(pb.PROMPT_STATE_EXPIRED)
    assert ("decision" in expired, expired.get("decision"), expired["state"]) == (False, None, "EXPIRED")
    with pytest.raises(KeyError):
        expired["decision"]
    assert (expired.state, expired.decision) == (PromptState.EXPIRED, DecisionKind.UNSPECIFIED)
    assert (expired.at, expired.by, expired.edits) == (AT, "", {})


def test_a_verdict_is_frozen_compares_by_value_and_can_be_read() -> None:
    found = verdict(pb.PROMPT_STATE_ANSWERED, pb.DECISION_REJECT, comment="too dear")
    assert repr(found) == "<Verdict False: REJECT by 'ana', 'Deploy?', comment='too dear'>"
    assert repr(verdict(pb.PROMPT_STATE_EXPIRED)) == "<Verdict False: EXPIRED, 'Deploy?'>"
    assert found == verdict(pb.PROMPT_STATE_ANSWERED, pb.DECISION_REJECT, comment="too dear")
    assert found != verdict(pb.PROMPT_STATE_ANSWERED, pb.DECISION_REJECT)
    with pytest.raises(TypeError):
        hash(found)
    with pytest.raises(AttributeError):
        found.decision = DecisionKind.ACCEPT  # type: ignore[misc]


def test_a_verdict_does_not_become_json() -> None:
    """In JSON it would become an object, which the next program would take for a yes."""
    for value in (verdict(pb.PROMPT_STATE_EXPIRED), {"v": [verdict(pb.PROMPT_STATE_EXPIRED)]}):
        with pytest.raises(ValueError, match=r"return bool\(verdict\)"):
            dumps(value)
        with pytest.raises(TypeError):
            json.dumps(value)


class Talk:
    """A class with a method that must be awaited."""

    def __init__(self) -> None:
        self.called = 0

    @must_await("talk.ask")
    async def ask(self, answer: int = 1) -> int:
        """A call that must be awaited."""
        self.called += 1
        await asyncio.sleep(0)
        if answer < 0:
            raise ValueError("negative")
        return answer


USES: dict[str, Callable[[Any], Any]] = {
    "if": lambda asked: 1 if asked else 2,
    "not": lambda asked: not asked,
    "and": lambda asked: asked and True,
    "or": lambda asked: asked or True,
    "any": lambda asked: any([asked]),
    "all": lambda asked: all([asked]),
    "filter": lambda asked: list(filter(None, [asked])),
    "bool": bool,
}


@pytest.mark.parametrize("use", USES)
async def test_a_coroutine_that_was_not_awaited_is_no_bool(use: str) -> None:
    client = Client("127.0.0.1:1")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for asked in (Talk().ask(), client.ask("Deploy?"), client.run("j").result()):
            with pytest.raises(TypeError, match=r"write `await (talk|client|run)\.(ask|result)\(\.\.\.\)`"):
                USES[use](asked)
            del asked
        gc.collect(1)  # what the loop has made; all objects of the process take a second
    # The error says it already. Python must not warn of an un-awaited coroutine as well.
    assert not [one for one in warned if "never awaited" in str(one.message)]
    with pytest.raises(TypeError, match=r"await run\.result"):
        USES[use](client.run("j"))


async def test_a_coroutine_can_be_awaited_after_it_was_refused_as_a_bool() -> None:
    asked = Talk().ask(3)
    with pytest.raises(TypeError):
        bool(asked)
    assert await asked == 3


AWAITS: dict[str, Callable[[Coroutine[Any, Any, int]], Awaitable[Any]]] = {
    "await": lambda asked: asked,
    "create_task": lambda asked: asyncio.create_task(asked),
    "gather": lambda asked: asyncio.gather(asked, return_exceptions=False),
    "wait_for": lambda asked: asyncio.wait_for(asked, 5),
    "shield": lambda asked: asyncio.shield(asked),
    "ensure_future": lambda asked: asyncio.ensure_future(asked),
}


@pytest.mark.parametrize("way", AWAITS)
async def test_every_way_to_await_still_works(way: str) -> None:
    talk = Talk()
    found = await AWAITS[way](talk.ask(7))
    assert found in (7, [7])
    with pytest.raises(ValueError, match="negative"):
        await AWAITS[way](talk.ask(-1))
    assert talk.called == 2


async def test_verdict_coroutines_work_with_task_groups_timeouts_and_cancelling() -> None:
    talk = Talk()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(talk.ask(n), name=f"n{n}") for n in range(3)]
    assert [task.result() for task in tasks] == [0, 1, 2]
    assert "Talk.ask" in repr(tasks[0])

    class Waiting:
        @must_await("waiting.ask")
        async def ask(self) -> None:
            await asyncio.Event().wait()

    task = asyncio.create_task(Waiting().ask())
    await asyncio.sleep(0)
    assert task.get_stack()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_asking_counts_as_a_coroutine_and_as_an_async_function() -> None:
    asked = Talk().ask()
    assert asyncio.iscoroutine(asked)
    assert inspect.isawaitable(asked)
    assert asked.__qualname__.endswith("Talk.ask")
    await asked
    with pytest.raises(RuntimeError, match="already awaited"):
        await asked
    with pytest.raises(AttributeError, match="await"):
        asked.by  # type: ignore[attr-defined]  # noqa: B018
    for method in (Job.ask, Job.confirm, Job.preview, Job.validate, Job.step, Run.result, Client.ask):
        assert asyncio.iscoroutinefunction(method)


async def test_a_coroutine_that_is_forgotten_warns_as_before() -> None:
    with pytest.warns(RuntimeWarning, match=r"coroutine 'Talk.ask' was never awaited"):
        Talk().ask()
