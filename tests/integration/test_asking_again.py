"""A validator that refuses an accepted answer asks the person again, at most three times."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, Field

from askback import Job, JobFailed
from askback.testing import Human
from tests.support.scripted_jobs import script, start
from tests.support.validated_forms import GOOD, Even, Pet, Row, Shares, Span, Trip

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

    @script
    async def asks(job: Job) -> object:
        found = await job.ask("When?", form, key="k", body="Think **well**.")
        return [type(found).__name__, job.attempt]

    human.on(key="k").answers(bad)
    human.on(key="k#2").answers(good)
    run = await start(asks)
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

    @script
    async def wordy(job: Job) -> object:
        return await job.ask("Which?", Names, key="k")

    human.on(key="k").answers({"of": {"a": 1, "b": 0, long: 1, **{f"n{n}": 0 for n in range(30)}}})
    human.on(key="k#2").declines("no")
    run = await start(wordy)
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
    @script
    async def stubborn(job: Job) -> object:
        return await job.ask("When?", Trip, key="k")

    human.on("When?").answers({**GOOD, "cost": 1.5})
    run = await start(stubborn)
    with pytest.raises(JobFailed, match=r"3 answers to 'When\?' .*cost: whole euros only") as failed:
        await run.result()
    assert failed.value.failure_code == "InvalidAnswer"
    assert human.seen == ["k", "k#2", "k#3"]
    assert (await run.job()).attempt == 1


async def test_a_key_too_long_for_a_second_question_names_the_refused_value(human: Human) -> None:
    key = "k" * 199

    @script
    async def long_key(job: Job) -> object:
        return await job.ask("When?", Trip, key=key)

    human.on(key=key).answers({**GOOD, "cost": 1.5})
    run = await start(long_key)
    with pytest.raises(JobFailed, match=r"cost: whole euros only.*at most 198 bytes") as failed:
        await run.result()
    assert failed.value.failure_code == "InvalidAnswer"
    assert human.seen == [key]
