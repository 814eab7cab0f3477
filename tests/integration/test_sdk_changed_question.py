"""An answered key whose question changed in a deployment: reported with both wordings, retried, or kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from askback import (
    Client,
    Content,
    DecisionKind,
    Job,
    JobFailed,
    JobState,
    Option,
    QuestionChanged,
    Run,
    Worker,
)
from askback._text.spans import Times
from askback.cli.event_words import event_words
from askback.cli.job.show import prompt_fields
from askback.testing import Clock, Server
from tests.support.refusals import SOON

Ask = Callable[[Job], Any]


def version(server: Server, ask: Ask) -> Worker:
    """A version of the worker with this first question."""
    worker = Worker(server.target, park_after=0.05, drain_timeout=0.2)

    @worker.job("pay")
    async def pay(job: Job) -> str:
        answer = await ask(job)
        later = await job.confirm("Really?", key="b")
        return f"{answer} {later.by}"

    return worker


def title(text: str, **more: Any) -> Ask:
    async def ask(job: Job) -> str:
        return str((await job.confirm(text, key="a", **more)).by)

    return ask


OLD = title("Pay teh bill?")


async def answer_old_version(
    server: Server, client: Client, key: str = "a", old: Ask = OLD, **answer: Any
) -> Run[Any]:
    """A parked job whose first question was asked by the old version and is answered."""
    async with version(server, old):
        run = await client.start("pay")
        prompt = await wait_for_prompt(client, run, key)
        await wait_until_parked(run)
    await client.answer(prompt, answer.pop("decision", "ACCEPT"), **answer)
    return run


async def wait_for_prompt(client: Client, run: Run[Any], key: str) -> Any:
    async with asyncio.timeout(SOON):
        while True:
            async for prompt in client.prompts(job_id=run.job_id):
                if prompt.key == key:
                    return prompt
            await asyncio.sleep(0.02)


async def wait_until_parked(run: Run[Any]) -> None:
    async with asyncio.timeout(SOON):
        while (await run.job()).worker_id or (await run.job()).state is not JobState.PENDING_HITL:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def retries(run: Run[Any], count: int) -> list[Any]:
    """Wait for this number of retries; returns their events."""
    found: list[Any] = []
    async with asyncio.timeout(SOON):
        async for event in run.watch():
            found += [event] if event.type == "JOB_RETRIED" else []
            if len(found) == count:
                return found
    raise AssertionError(found)


async def test_deploying_the_old_question_again_completes_the_job(
    askback_server: Server, clock: Clock
) -> None:
    async with Client(askback_server.target, user="ana") as client:
        run = await answer_old_version(askback_server, client)
        async with version(askback_server, title("Pay the bill?")):
            events = await retries(run, 2)
            job = await run.job()
            assert job.attempt == 1, "no attempt is used up, whatever their limit"
            assert job.failure is not None
            code, message, _ = job.failure
            assert code == "QuestionChanged"
            assert "'Pay teh bill?', is 'Pay the bill?'" in message
            assert "same=True" in message
        assert [event.data["counted"] for event in events] == [False] * 2
        assert "not counted" in event_words(events[0])
        async with version(askback_server, OLD):
            await client.answer(await wait_for_prompt(client, run, "b"), "ACCEPT")
            assert await run.result() == "ana ana"
        assert (await run.job()).attempt == 1


async def test_a_changed_question_fails_the_job_after_a_day(askback_server: Server, clock: Clock) -> None:
    async with Client(askback_server.target, user="ana") as client:
        run = await answer_old_version(askback_server, client)
        for count, hours in ((1, 12), (2, 11.9)):
            async with version(askback_server, title("Pay the bill?")):
                await retries(run, count)
            await clock.advance(hours=hours)
            assert (await run.job()).state is JobState.PENDING
        await clock.advance(minutes=20)
        async with version(askback_server, title("Pay the bill?")):
            with pytest.raises(JobFailed, match=r"'Pay teh bill\?', is 'Pay the bill\?'.*24 hours") as failed:
                await run.result()
        assert failed.value.failure_code == "QuestionChanged"


async def test_a_rewording_declared_as_the_same_question_keeps_the_answer(askback_server: Server) -> None:
    async with Client(askback_server.target, user="ana") as client:
        run = await answer_old_version(askback_server, client)
        for _ in range(2):  # the second time it runs from the start and logs nothing
            async with version(askback_server, title("Pay the bill?", same=True)):
                await wait_for_prompt(client, run, "b")
                await wait_until_parked(run)
        async with version(askback_server, title("Pay this bill?", same=True)):
            await client.answer(await wait_for_prompt(client, run, "b"), "ACCEPT")
            assert await run.result() == "ana ana"
        events = [event async for event in run.watch() if event.type == "PROMPT_REWORDED"]
        asked = [event async for event in run.watch() if event.type == "PROMPT_ASKED"]
        assert [event.data["digest"] for event in events] == [asked[0].data["digest"]] * 2
        assert len({event.data["asked_digest"] for event in events}) == 2, "once for each wording"
        asked_prompt = await client.prompt(job_id=run.job_id, key="a")
        shown = str(prompt_fields(asked_prompt, Times(datetime.now(UTC), exact=False)))
        assert events[-1].data["digest"] in shown
        assert events[-1].data["asked_digest"] in shown
        for event in events:
            assert event.data["digest"] in event_words(event)
            assert event.data["asked_digest"] in event_words(event)


YES = Option(DecisionKind.ACCEPT, "Yes")


def asks(kind: str = "confirm", **asked: Any) -> Ask:
    async def ask(job: Job) -> str:
        await getattr(job, kind)(
            asked.get("title", "Go?"), key="a", **{k: v for k, v in asked.items() if k != "title"}
        )
        return "x"

    return ask


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (asks(body="old body"), asks(body="new body"), "the body was 'old body', is 'new body'"),
        (asks(contents={"a": "x"}), asks(contents={"a": "y"}), "the content 'a' was 'x', is 'y'"),
        (asks(contents={"a": "x"}), asks(), "the content 'a' is gone"),
        (asks(), asks(contents={"a": "x"}), "the content 'a' is new"),
        (asks(contents={"a": "x", "b": "y"}), asks(contents={"b": "y", "a": "x"}), "another order"),
        (asks(contents=[Content("a", "x")]), asks(contents=[Content("a", "x", "T")]), "another title"),
        (asks(), asks("preview", contents={"a": "x"}), "the kind was 'confirm', is 'preview'"),
        (asks(form=int), asks(form=float), "the form was"),
        (asks(), asks(decisions=[DecisionKind.ACCEPT]), "the decisions was"),
        (asks(decisions=[YES]), asks(decisions=[Option(DecisionKind.ACCEPT, "Sure")]), "'ACCEPT Sure'"),
    ],
    ids=range(10),
)
async def test_the_failure_message_says_what_changed(
    askback_server: Server, old: Ask, new: Ask, says: str
) -> None:
    async with Client(askback_server.target, user="ana") as client:
        run = await answer_old_version(
            askback_server,
            client,
            old=old,
            **({"decision": "ACCEPT", "values": {"value": 1}} if "form" in says else {}),
        )
        async with version(askback_server, new):
            [event] = await retries(run, 1)
        assert says in (await run.job()).failure[1]  # type: ignore[index]
        assert event.data["code"] == "QuestionChanged"


@pytest.mark.parametrize("how", ["withdrawn", "expired"])
async def test_a_decline_or_expiry_is_also_kept_for_its_question(
    askback_server: Server, clock: Clock, how: str
) -> None:
    old = title("Pay teh bill?", deadline=3600)
    async with Client(askback_server.target, user="ana") as client:
        async with version(askback_server, old):
            run = await client.start("pay")
            prompt = await wait_for_prompt(client, run, "a")
            await wait_until_parked(run)
        await (client.cancel_prompt(prompt.prompt_id) if how == "withdrawn" else clock.advance(hours=2))
        async with version(askback_server, title("Pay the bill?", deadline=3600)):
            await retries(run, 1)
        async with version(askback_server, title("Pay the bill?", deadline=3600, same=True)):
            with pytest.raises(JobFailed) as failed:
                await run.result()
        assert failed.value.failure_code == ("PromptCancelled" if how == "withdrawn" else "PromptExpired")


async def test_a_function_may_catch_a_changed_question(askback_server: Server) -> None:
    told = []

    async def careful(job: Job) -> str:
        try:
            return str((await job.confirm("Pay the bill?", key="a")).by)
        except QuestionChanged as changed:
            told.append((changed.key, *changed.changes))
            return str((await job.confirm("Pay the bill?", key="a", same=True)).by)

    async with Client(askback_server.target, user="ana") as client:
        run = await answer_old_version(askback_server, client)
        async with version(askback_server, careful):
            await client.answer(await wait_for_prompt(client, run, "b"), "ACCEPT")
            assert await run.result() == "ana ana"
    assert set(told) == {("a", "the title was 'Pay teh bill?', is 'Pay the bill?'")}


async def test_in_a_group_a_changed_question_is_retried_and_a_mistake_is_not(askback_server: Server) -> None:
    async def group(job: Job) -> str:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(job.confirm("Pay the bill?", key="a"))
            tasks.create_task(job.confirm("And this?", key="other"))
        return ""

    async with Client(askback_server.target, user="ana") as client:
        run = await answer_old_version(askback_server, client)
        async with version(askback_server, group):
            async with asyncio.timeout(SOON):
                while (await run.job()).failure is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        assert (await run.job()).attempt == 1
        assert (await run.job()).failure[0] == "QuestionChanged"  # type: ignore[index]
