"""A validator that refuses an accepted answer asks the person again, at most three times."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field, field_validator, model_validator

from askback import Client, Content, Job, JobFailed, NonRetryable, PromptDeclined, PromptExpired, Worker
from askback.testing import Clock, Human, Server

worker = Worker("dns:///askback.example:50051")
SCRIPTS: dict[str, Callable[[Job], Awaitable[object]]] = {}


@worker.job("again")
async def again(job: Job, name: str) -> object:
    return await SCRIPTS[name](job)


def register(function: Callable[[Job], Awaitable[object]]) -> str:
    """Register a job function of one test; returns its name."""
    SCRIPTS[function.__name__] = function
    return function.__name__


class Row(BaseModel):
    price: Decimal = Field(decimal_places=2)


class Trip(BaseModel):
    start: date
    end: date
    cost: Decimal = Field(max_digits=5, title="Cost in EUR")
    rows: list[Row] = []
    note: str = ""

    @field_validator("cost")
    @classmethod
    def _whole(cls, value: Decimal) -> Decimal:
        if value % 1:
            raise ValueError("whole euros only")
        return value

    @model_validator(mode="after")
    def _check_order(self) -> Trip:
        assert self.end >= self.start, "end is before start"
        return self


@dataclass
class Span:
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


def _even(value: int) -> int:
    if value % 2:
        raise ValueError(f"{value} is odd")
    return value


Even = Annotated[int, AfterValidator(_even)]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Even = Field(alias="a/b", title="Lives")


class Dog(BaseModel):
    kind: Literal["dog"]


class Pet(BaseModel):
    animal: Cat | Dog = Field(discriminator="kind")


class Shares(BaseModel):
    of: dict[str, Even]


GOOD = {"start": "2026-01-01", "end": "2026-01-02", "cost": 5}
CASES: dict[str, tuple[Any, Any, Any, str, str]] = {
    "field validator": (
        Trip,
        {**GOOD, "cost": 1.5},
        GOOD,
        "> - Cost in EUR: whole euros only",
        "values_json/cost",
    ),
    "model validator": (Trip, {**GOOD, "end": "2025-01-01"}, GOOD, "end is before start", "values_json"),
    "digits": (
        Trip,
        {**GOOD, "cost": 1234567},
        GOOD,
        "Cost in EUR: Decimal input should have no more",
        "values_json/cost",
    ),
    "nested": (
        Trip,
        {**GOOD, "rows": [{"price": 0.125}]},
        GOOD,
        "Rows, 1, Price: Decimal input",
        "values_json/rows/0/price",
    ),
    "in a union": (
        Pet,
        {"animal": {"kind": "cat", "a/b": 3}},
        {"animal": {"kind": "cat", "a/b": 4}},
        "Animal, Lives: 3 is odd",
        "values_json/animal/a~1b",
    ),
    "in a mapping": (
        Shares,
        {"of": {"ana": 3}},
        {"of": {"ana": 4}},
        "Of, ana: 3 is odd",
        "values_json/of/ana",
    ),
    "bare decimal": (
        Annotated[Decimal, Field(decimal_places=2)],
        1.125,
        1.25,
        "2 decimal places",
        "values_json/value",
    ),
    "bare validator": (Even, 3, 4, "> - 3 is odd", "values_json/value"),
    "in a list": (list[Even], [2, 3], [2, 4], "> - 2: 3 is odd", "values_json/value/1"),
    "models in a list": (
        list[Row],
        [{"price": 0.125}],
        [{"price": 0.25}],
        "> - 1, Price: Decimal input",
        "values_json/value/0/price",
    ),
    "dataclass": (
        Span,
        {"low": 2, "high": 1},
        {"low": 1, "high": 2},
        "low is above high",
        "values_json",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_refused_answer_is_asked_again_with_the_reason_and_the_values(
    human: Human, case: str
) -> None:
    form, bad, good, reason, field = CASES[case]

    @register
    async def asks(job: Job) -> object:
        found = await job.ask("When?", form, key="k", body="Think **well**.")
        return [type(found).__name__, job.attempt]

    human.on(key="k").answers(bad)
    human.on(key="k#2").answers(good)
    run = await again.start(name=asks)
    async with asyncio.timeout(10):
        _, attempt = await run.result()  # type: ignore[misc]
    assert attempt == 1
    assert human.seen == ["k", "k#2"]
    first, second = human.prompts
    assert (second.title, second.kind, second.labels) == (first.title, first.kind, first.labels)
    assert reason in second.body
    assert second.body.endswith("Think **well**.")
    assert first.corrections == ()
    assert second.proto.content.correction.key == "k"
    [violation] = second.corrections
    assert violation.field == field
    assert reason.rpartition(": ")[2].removeprefix("> - ") in violation.description
    assert "https://" not in second.body
    assert first.schema is not None
    assert second.schema is not None
    values = bad if isinstance(bad, dict) else {"value": bad}
    assert {
        n: part.get("default") for n, part in second.schema["properties"].items() if n in values
    } == values


async def test_reasons_of_any_length_fit_the_contract(human: Human) -> None:
    """A text of many bytes is cut, a missing one replaced, a field of many bytes is that of its object."""
    long = "k" * 1_000

    def refuse(number: int) -> int:
        raise ValueError("€" * 2_000 if number else "")

    class Names(BaseModel):
        of: dict[str, Annotated[int, AfterValidator(refuse)]]

    @register
    async def wordy(job: Job) -> object:
        return await job.ask("Which?", Names, key="k")

    human.on(key="k").answers({"of": {"a": 1, "b": 0, long: 1, **{f"n{n}": 0 for n in range(30)}}})
    human.on(key="k#2").declines("no")
    run = await again.start(name=wordy)
    with pytest.raises(JobFailed):
        await run.result()
    found = human.prompts[1].corrections
    assert len(found) == 20
    assert found[0].field == "values_json/of/a"
    assert found[0].description.startswith("€€€")
    assert found[0].description.endswith("…")
    assert len(found[0].description.encode()) <= 1_000
    assert (found[1].field, found[1].description) == ("values_json/of/b", "is not accepted")
    assert found[2].field == "values_json/of"


async def test_the_third_refusal_fails_the_job_once(human: Human) -> None:
    @register
    async def stubborn(job: Job) -> object:
        return await job.ask("When?", Trip, key="k")

    human.on("When?").answers({**GOOD, "cost": 1.5})
    run = await again.start(name=stubborn)
    with pytest.raises(JobFailed, match=r"3 answers to 'When\?' .*cost: whole euros only") as failed:
        await run.result()
    assert failed.value.failure_code == "InvalidAnswer"
    assert human.seen == ["k", "k#2", "k#3"]
    assert (await run.job()).attempt == 1


async def test_a_preview_keeps_the_edits_of_the_refused_round(human: Human) -> None:
    @register
    async def shows(job: Job) -> object:
        contents = [Content("a", "old a", editable=True), Content("b", "old b", editable=True)]
        found = await job.preview("Send?", key="p", contents=contents, form=Span)
        return [bool(found), found.values.high, found.text("a"), found.text("b"), found.edits]

    human.on(key="p").edits({"a": "new a"}, values={"low": 2, "high": 1})
    human.on(key="p#2").approves(values={"low": 1, "high": 2})
    run = await again.start(name=shows)
    assert await run.result() == [True, 2, "new a", "old b", {"a": "new a"}]
    assert human.prompts[1].contents[0].text == "new a"


async def test_rejecting_the_second_question_declines_the_first(human: Human) -> None:
    """The result contains nothing of the refused acceptance."""

    @register
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
    run = await again.start(name=decides)
    assert await run.result() == [False, None, {}, "no more", True, "enough"]


async def test_an_expiry_after_a_refusal_expires_the_question(human: Human, clock: Clock) -> None:
    @register
    async def waits(job: Job) -> object:
        try:
            await job.ask("How?", Span, key="k", deadline=timedelta(hours=1))
        except PromptExpired as error:
            return error.prompt.key
        return None

    human.on(key="k").answers({"low": 2, "high": 1})
    human.on(key="k#2").never()
    run = await again.start(name=waits)
    await clock.advance(hours=1)
    assert await run.result() == "k#2"


async def test_a_default_that_does_not_fit_fails_once_without_asking(human: Human, clock: Clock) -> None:
    class Odd(BaseModel):
        n: Annotated[int, AfterValidator(_even)] = 1

        @model_validator(mode="after")
        def _nothing_left_out(self) -> Odd:
            if not self.model_fields_set:
                raise ValueError("say how many")
            return self

    @register
    async def silent(job: Job) -> object:
        return bool(await job.confirm("Pay?", key="k", form=Odd, default=True, deadline=timedelta(hours=1)))

    human.on(key="k").never()
    run = await again.start(name=silent)
    await clock.advance(hours=1)
    with pytest.raises(JobFailed, match=r"the default of 'Pay\?' .*say how many"):
        await run.result()
    assert (human.seen, (await run.job()).attempt) == (["k"], 1)


async def test_a_validator_that_raises_unexpectedly_fails_the_job_once(human: Human) -> None:
    def fail_at_two(value: int) -> int:
        return {1: 1}[value]

    @register
    async def breaks(job: Job) -> object:
        return await job.ask("How many?", Annotated[int, AfterValidator(fail_at_two)], key="k")  # type: ignore[arg-type]

    human.on(key="k").answers(2)
    run = await again.start(name=breaks)
    with pytest.raises(JobFailed, match=r"a validator broke on the answer to 'How many\?' .*KeyError: 2"):
        await run.result()
    assert (human.seen, (await run.job()).attempt) == (["k"], 1)


async def test_a_later_run_gets_both_answers_when_the_reason_is_reworded(human: Human, clock: Clock) -> None:
    runs: list[int] = []

    def picky(value: int) -> int:
        if value % 2:
            raise ValueError(f"refused in run {len(runs)}")
        return value

    @register
    async def later(job: Job) -> object:
        runs.append(job.attempt)
        found = await job.ask("How many?", Annotated[int, AfterValidator(picky)], key="k")  # type: ignore[arg-type]
        if job.attempt == 1:
            raise ConnectionError("tried again")
        return found

    human.on(key="k").answers(1)
    human.on(key="k#2").answers(2)
    run = await again.start(name=later)
    async with asyncio.timeout(10):
        while not (await run.job()).failure:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await clock.advance(seconds=2)
    assert await run.result() == 2
    assert (human.seen, runs) == (["k", "k#2"], [1, 2])


async def test_a_key_too_long_for_a_second_question_names_the_refused_value(human: Human) -> None:
    key = "k" * 199

    @register
    async def long_key(job: Job) -> object:
        return await job.ask("When?", Trip, key=key)

    human.on(key=key).answers({**GOOD, "cost": 1.5})
    run = await again.start(name=long_key)
    with pytest.raises(JobFailed, match=r"cost: whole euros only.*at most 198 bytes") as failed:
        await run.result()
    assert failed.value.failure_code == "InvalidAnswer"
    assert human.seen == [key]


@pytest.mark.parametrize("reworded", [False, True])
async def test_a_retry_carries_the_answers_of_every_round(askback_server: Server, reworded: bool) -> None:
    """In the new job the reason may be worded differently, but another question is asked, in any round."""
    runs: list[str] = []

    def picky(value: int) -> int:
        if value % 2:
            raise ValueError(f"refused in run {len(runs)}")
        return value

    @register
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
        run = await client.start("again", {"name": ask_and_fail})
        for key, value in (("k", 1), ("k#2", 3), ("k#3", 4)):
            await answer(client, run.job_id, key, value)
        with pytest.raises(JobFailed, match="mail server"):
            await run.result()
        retried = await client.retry(run.job_id)
        for key, value in (("k", 1), ("k#2", 6)) if reworded else ():
            await answer(client, retried.job_id, key, value)
        assert await retried.result() == (6 if reworded else 4)
