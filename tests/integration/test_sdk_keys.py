"""Keys of questions and steps in a job function: each is used once, and a mistake fails the job once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from askback import DuplicateKey, InvalidKey, Job, PromptDeclined, PromptExpired
from askback.testing import Human, Server
from tests.support.scripted_jobs import Script, calls, charge, fails_once, result_of, script, scripts, start
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("no_calls")


# --- a key used twice ---


@script
async def step_in_a_loop(job: Job) -> Any:
    return [await job.step("charge", charge, row) for row in "ABC"]


@script
async def steps_at_once(job: Job) -> Any:
    return await asyncio.gather(*(job.step("charge", charge, row) for row in "ABC"))


@script
async def slow_steps_at_once(job: Job) -> Any:
    async def slow(row: str) -> str:
        await asyncio.sleep(0.05)
        return charge(row)

    async with asyncio.TaskGroup() as group:
        for row in "ABC":
            group.create_task(job.step("charge", slow, row))


@script
async def step_in_its_own_step(job: Job) -> Any:
    async def outer() -> str:
        return await job.step("charge", charge, "inner")

    return await job.step("charge", outer)


@script
async def ask_in_a_loop(job: Job) -> Any:
    return [bool(await job.confirm(f"Delete {row}?", key="delete")) for row in "ABC"]


@script
async def ask_until_it_is_good(job: Job) -> Any:
    while (age := await job.ask("Your age?", int, key="age")) <= 0:
        calls.append(age)
    return age


@script
async def asks_at_once(job: Job) -> Any:
    return await asyncio.gather(*(job.confirm(f"Delete {row}?", key="delete") for row in "ABC"))


@script
async def different_kinds_of_question(job: Job) -> Any:
    await job.ask("Your age?", int, key="x")
    await job.preview("Look", key="x", contents={"a": "text"})


@pytest.mark.parametrize(
    "function",
    [
        step_in_a_loop,
        steps_at_once,
        slow_steps_at_once,
        step_in_its_own_step,
        ask_in_a_loop,
        ask_until_it_is_good,
        asks_at_once,
        different_kinds_of_question,
    ],
    ids=lambda function: function.__name__,
)
async def test_a_key_is_used_once(human: Human, function: Script) -> None:
    human.on("age", optional=True).answers(-1)
    human.on(kind="confirm", optional=True).approves()
    failed = await fails_once(function, "DuplicateKey")
    assert "was used before in this run" in str(failed)
    assert 'key=f"' in str(failed), "what to write instead"
    assert len(calls) <= 1, "the second call is not made"


@script
async def the_first_is_unharmed(job: Job) -> Any:
    first = asyncio.create_task(job.ask("First?", int, key="x"))
    while not first.done():
        await asyncio.sleep(0.01)
        if not first.done():
            with pytest.raises(DuplicateKey) as refused:
                await job.ask("Second?", int, key="x")
            assert refused.value.key == "x"
    return await first


async def test_the_first_question_continues_when_a_second_is_refused(human: Human) -> None:
    human.on("first?").answers(7)
    assert await result_of(the_first_is_unharmed) == 7
    assert human.seen == ["x"]


@script
async def a_step_and_a_question(job: Job) -> Any:
    return [await job.step("x", charge, "A"), await job.ask("Why?", key="x")]


async def test_a_step_and_a_question_may_share_a_key(human: Human) -> None:
    human.on("why?").answers("so")
    assert await result_of(a_step_and_a_question) == ["receipt A", "so"]


# --- repetitions that are allowed ---


@script
async def retry_step(job: Job) -> Any:
    async def flaky() -> str:
        if len(calls) < 2:
            calls.append("down")
            raise ConnectionError("down")
        return charge("A")

    for _ in range(5):
        try:
            return await job.step("charge", flaky)
        except ConnectionError:
            continue


async def test_a_step_that_raised_may_be_called_again(human: Human) -> None:
    assert await result_of(retry_step) == "receipt A"
    assert calls == ["down", "down", "A"]


@script
async def patient_ask(job: Job) -> Any:
    while True:
        try:
            async with asyncio.timeout(0.05):
                return await job.ask("Why?", key="why")
        except TimeoutError:
            calls.append("still waiting")


async def test_a_question_that_was_cancelled_may_be_asked_again(human: Human, askback_server: Server) -> None:
    human.on("why?").never(without_deadline=True)
    started = await start(patient_ask)
    await until(lambda: len(calls) > 2)
    async with askback_server.client() as client:
        [prompt] = [prompt async for prompt in client.prompts(job_id=started.job_id)]
        assert prompt.revision == 1, "it is one question"
        await client.answer(prompt, "RESPOND", values={"value": "so"})
    assert await started.result() == "so"


@script
async def ask_too_long(job: Job) -> Any:
    try:
        await job.ask("x" * 1000, key="why")
    except Exception as error:
        calls.append(type(error).__name__)
    return await job.ask("Why?", key="why")


async def test_a_question_that_the_server_refused_may_be_asked_again(human: Human) -> None:
    human.on("why?").answers("so")
    assert await result_of(ask_too_long) == "so"
    assert calls == ["InvalidArgument"]


@script
async def ask_after_decline(job: Job) -> Any:
    with pytest.raises(PromptDeclined):
        await job.ask("Why?", key="why")
    return await job.ask("Why?", key="why")


@script
async def ask_after_expiry(job: Job) -> Any:
    with pytest.raises(PromptExpired):
        await job.ask("Why?", key="why", deadline=0.2)
    return await job.ask("Why?", key="why", deadline=0.2)


@pytest.mark.parametrize(
    "function", [ask_after_decline, ask_after_expiry], ids=lambda function: function.__name__
)
async def test_a_question_that_ended_has_used_its_key(human: Human, function: Script) -> None:
    if function is ask_after_decline:
        human.on("why?").declines("no")
    else:
        human.on("why?").never()
    await fails_once(function, "DuplicateKey")


# --- invalid keys ---


@pytest.mark.parametrize("key", ["", "x" * 201, "ä" * 101, "a\0b", "\ud800", 5, None, b"x"])
async def test_an_invalid_key_is_refused_before_anything_is_done(human: Human, key: Any) -> None:
    async def step_with_it(job: Job) -> Any:
        await job.step(key, charge, "A")

    async def ask_with_it(job: Job) -> Any:
        await job.ask("Why?", key=key)

    for function in (step_with_it, ask_with_it):
        scripts[function.__name__] = function
        await fails_once(function, InvalidKey.__name__)
    assert calls == []


# --- a loop over stored results does not starve other tasks ---


@script
async def loop_over_stored(job: Job) -> Any:
    if job.attempt == 1:
        for n in range(30):
            await job.step(f"s{n}", charge, n)
        await job.confirm("Go?", key="go")
        raise ConnectionError("once more")
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(tick())
    for n in range(30):
        await job.step(f"s{n}", charge, n)
    await job.confirm("Go?", key="go")
    for _ in range(10):
        with pytest.raises(DuplicateKey):
            await job.confirm("Go?", key="go")
    other.cancel()
    return ticks


async def test_replaying_stored_results_yields_and_acknowledges_once(human: Human) -> None:
    human.on("go?").approves()
    started = await start(loop_over_stored)
    assert await started.result() >= 41
    assert len(calls) == 30
    assert [event.type async for event in started.watch()].count("PROMPT_CONSUMED") == 1
