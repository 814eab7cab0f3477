"""How a question ends that was asked again: by each decision, at its deadline, and in later runs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel, model_validator

from askback import Client, Content, Job, JobFailed, NonRetryable, PromptDeclined, PromptExpired
from askback.testing import Clock, Human, Server
from tests.support.scripted_jobs import script, start, worker
from tests.support.validated_forms import Span, even


async def test_a_preview_keeps_the_edits_of_the_refused_round(human: Human) -> None:
    @script
    async def shows(job: Job) -> object:
        contents = [Content("a", "old a", editable=True), Content("b", "old b", editable=True)]
        found = await job.preview("Send?", key="p", contents=contents, form=Span)
        return [bool(found), found.values.high, found.text("a"), found.text("b"), found.edits]

    human.on(key="p").edits({"a": "new a"}, values={"low": 2, "high": 1})
    human.on(key="p#2").approves(values={"low": 1, "high": 2})
    run = await start(shows)
    assert await run.result() == [True, 2, "new a", "old b", {"a": "new a"}]
    assert human.prompts[1].contents[0].text == "new a"


async def test_rejecting_the_second_question_declines_the_first(human: Human) -> None:
    """The result contains nothing of the refused acceptance."""

    @script
    async def decides(job: Job) -> object:
        contents = [Content("a", "old a", editable=True)]
        found = await job.preview("Send?", key="p", contents=contents, form=Span)
        sure = await job.validate("Right?", key="v", report="fine", form=Span)
        try:
            await job.ask("How?", Span, key="k")
        except PromptDeclined as error:
            return [bool(found), found.values, found.edits, found.comment, bool(sure), error.comment]

    wrong = {"low": 2, "high": 1}
    human.on(key="p").edits({"a": "new a"}, values=wrong)
    human.on(key="p#2").declines("no more")
    human.on(key="v").approves(values=wrong)
    human.on(key="v#2").approves(values={"low": 1, "high": 1})
    human.on(key="k").answers(wrong)
    human.on(key="k#2").declines("enough")
    run = await start(decides)
    assert await run.result() == [False, None, {}, "no more", True, "enough"]


async def test_an_expiry_after_a_refusal_expires_the_question(human: Human, clock: Clock) -> None:
    @script
    async def waits(job: Job) -> object:
        try:
            await job.ask("How?", Span, key="k", deadline=timedelta(hours=1))
        except PromptExpired as error:
            return error.prompt.key
        return None

    human.on(key="k").answers({"low": 2, "high": 1})
    human.on(key="k#2").never()
    run = await start(waits)
    await clock.advance(hours=1)
    assert await run.result() == "k#2"


async def test_a_default_that_does_not_fit_fails_once_without_asking(human: Human, clock: Clock) -> None:
    class Odd(BaseModel):
        n: Annotated[int, AfterValidator(even)] = 1

        @model_validator(mode="after")
        def _nothing_left_out(self) -> Odd:
            if not self.model_fields_set:
                raise ValueError("say how many")
            return self

    @script
    async def silent(job: Job) -> object:
        return bool(await job.confirm("Pay?", key="k", form=Odd, default=True, deadline=timedelta(hours=1)))

    human.on(key="k").never()
    run = await start(silent)
    await clock.advance(hours=1)
    with pytest.raises(JobFailed, match=r"the default of 'Pay\?' .*say how many"):
        await run.result()
    assert (human.seen, (await run.job()).attempt) == (["k"], 1)


async def test_a_validator_that_raises_unexpectedly_fails_the_job_once(human: Human) -> None:
    def fail_at_two(value: int) -> int:
        return {1: 1}[value]

    @script
    async def breaks(job: Job) -> object:
        return await job.ask("How many?", Annotated[int, AfterValidator(fail_at_two)], key="k")  # type: ignore[arg-type]

    human.on(key="k").answers(2)
    run = await start(breaks)
    with pytest.raises(JobFailed, match=r"a validator broke on the answer to 'How many\?' .*KeyError: 2"):
        await run.result()
    assert (human.seen, (await run.job()).attempt) == (["k"], 1)


async def test_a_later_run_gets_both_answers_when_the_reason_is_reworded(human: Human, clock: Clock) -> None:
    runs: list[int] = []

    def picky(value: int) -> int:
        if value % 2:
            raise ValueError(f"refused in run {len(runs)}")
        return value

    @script
    async def later(job: Job) -> object:
        runs.append(job.attempt)
        found = await job.ask("How many?", Annotated[int, AfterValidator(picky)], key="k")  # type: ignore[arg-type]
        if job.attempt == 1:
            raise ConnectionError("tried again")
        return found

    human.on(key="k").answers(1)
    human.on(key="k#2").answers(2)
    run = await start(later)
    async with asyncio.timeout(10):
        while not (await run.job()).failure:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await clock.advance(seconds=2)
    assert await run.result() == 2
    assert (human.seen, runs) == (["k", "k#2"], [1, 2])


@pytest.mark.parametrize("reworded", [False, True])
async def test_a_retry_carries_the_answers_of_every_round(askback_server: Server, reworded: bool) -> None:
    """In the new job the reason may be worded differently, but another question is asked, in any round."""
    runs: list[str] = []

    def picky(value: int) -> int:
        if value % 2:
            raise ValueError(f"refused in run {len(runs)}")
        return value

    @script
    async def ask_and_fail(job: Job) -> object:
        runs.append(job.job_id)
        title = "How many now?" if reworded and len(runs) > 1 else "How many?"
        found = await job.ask(title, Annotated[int, AfterValidator(picky)], key="k")  # type: ignore[arg-type]
        if len(runs) == 1:
            raise NonRetryable("the mail server is away")
        return found

    async def answer(client: Client, job_id: str, key: str, value: int) -> None:
        while not (found := [p async for p in client.prompts(job_id=job_id) if p.key == key]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await client.answer(found[0], "RESPOND", values=value)

    target = askback_server.target
    async with worker.at(target), Client(target, user="ana") as client, asyncio.timeout(20):
        run = await client.start("script", {"name": ask_and_fail.__name__})
        for key, value in (("k", 1), ("k#2", 3), ("k#3", 4)):
            await answer(client, run.job_id, key, value)
        with pytest.raises(JobFailed, match="mail server"):
            await run.result()
        retried = await client.retry(run.job_id)
        for key, value in (("k", 1), ("k#2", 6)) if reworded else ():
            await answer(client, retried.job_id, key, value)
        assert await retried.result() == (6 if reworded else 4)
