"""A question without a worker returns a verdict, in this process and in any other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Annotated, Any

import pytest
import pytest_asyncio
from pydantic import AfterValidator, BaseModel

from askback import Client, DecisionKind, JobFailed, PromptInfo, PromptState, Verdict
from tests.support.service import ServiceWorld


class Plan(BaseModel):
    percent: int
    cost: Decimal = Decimal(0)


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def client(shared_lite: ServiceWorld) -> AsyncIterator[Client]:
    """Every test knows its questions by the runs that it has started."""
    async with Client(f"127.0.0.1:{shared_lite.service.port}", user="ana") as client:
        yield client


async def only_prompt(client: Client, job_id: str) -> PromptInfo:
    return await client.prompt(job_id=job_id, key="prompt")


ENDINGS = {
    "ACCEPT": (True, PromptState.ANSWERED, DecisionKind.ACCEPT),
    "REJECT": (False, PromptState.ANSWERED, DecisionKind.REJECT),
    "REVISE": (False, PromptState.ANSWERED, DecisionKind.REVISE),
    "silence": (False, PromptState.EXPIRED, DecisionKind.UNSPECIFIED),
    "default yes": (True, PromptState.ANSWERED, DecisionKind.ACCEPT),
    "default no": (False, PromptState.ANSWERED, DecisionKind.REJECT),
    "withdrawn": (False, PromptState.CANCELLED, DecisionKind.UNSPECIFIED),
    "cancelled": (False, PromptState.CANCELLED, DecisionKind.UNSPECIFIED),
}


@pytest.mark.parametrize("how", ENDINGS)
async def test_every_end_of_a_question_is_a_verdict(client: Client, how: str) -> None:
    yes, state, decision = ENDINGS[how]
    options: dict[str, Any] = {}
    if how == "silence" or how.startswith("default"):
        options["deadline"] = 1.0
    if how.startswith("default"):
        options["default"] = how == "default yes"
    run = await client.ask("Deploy?", **options)
    match how:
        case "withdrawn":
            await client.cancel_prompt((await only_prompt(client, run.job_id)).prompt_id, "no need")
        case "cancelled":
            await run.cancel("no need")
        case "ACCEPT" | "REJECT" | "REVISE":
            await client.answer(await only_prompt(client, run.job_id), how, comment="because")
    async with Client(client._calls.endpoint.target, user="bob") as elsewhere:
        for asked in (run, elsewhere.run(run.job_id)):
            verdict = await asked.result()
            assert isinstance(verdict, Verdict)
            assert (bool(verdict), verdict.state, verdict.decision) == (yes, state, decision)
            assert verdict["state"] == state
            assert verdict.get("decision") == (decision if state is PromptState.ANSWERED else None)
            assert verdict.by_default is how.startswith("default")
            assert verdict.answered is False
            assert verdict.prompt.title == "Deploy?"
            by_person = state is PromptState.ANSWERED and not verdict.by_default
            assert verdict.by == ("ana" if by_person else "")
            if (stored := (await asked.job()).result) is not None:
                assert dict(verdict) == stored


async def test_verdict_values_have_the_type_of_a_known_form(client: Client) -> None:
    run = await client.ask("How?", kind="clarify", form=Plan)
    values = {"percent": 10, "cost": Decimal("0.12345678901234567890123")}
    await client.answer(await only_prompt(client, run.job_id), "RESPOND", values=values)
    verdict = await run.result()
    assert verdict.values == Plan(**values)  # type: ignore[arg-type]
    # A person gave values, and authorised nothing.
    assert (bool(verdict), verdict.answered) == (False, True)
    plain = await client.run(run.job_id).result()
    assert plain.values == plain["values"] == values
    typed = await client.run(run.job_id, returns=Verdict[Plan]).result()
    assert typed == verdict
    assert (await client.run(run.job_id, returns=Verdict).result()).values == values


@pytest.mark.parametrize(
    ("form", "given", "values"),
    [
        (str, "so", "so"),
        (int, 2**60, 2**60),
        (Decimal, "12.50", Decimal("12.50")),
        (list[int], [1, 2], [1, 2]),
        ({"type": "object", "properties": {"n": {"type": "number"}}}, {"n": 1.5}, {"n": 1.5}),
    ],
)
async def test_verdict_values_match_forms_of_every_shape(
    client: Client, form: Any, given: Any, values: Any
) -> None:
    run = await client.ask("How?", kind="clarify", form=form)
    await client.answer(await only_prompt(client, run.job_id), "RESPOND", values=given)
    assert (await run.result()).values == values


async def test_a_yes_with_values_is_true_and_a_no_has_none(client: Client) -> None:
    for decision, values in (("ACCEPT", {"percent": 5}), ("REJECT", None)):
        run = await client.ask("Go?", form=Plan)
        await client.answer(await only_prompt(client, run.job_id), decision, values=values)
        verdict = await run.result()
        assert (bool(verdict), verdict.answered) == (values is not None, values is not None)
        assert verdict.values == (Plan(percent=5) if values else None)


async def test_a_verdict_has_edited_and_unedited_texts(client: Client) -> None:
    run = await client.ask("Right?", kind="preview", contents={"a": "old"})
    prompt = await only_prompt(client, run.job_id)
    assert not prompt.contents[0].editable
    await client.answer(prompt, "ACCEPT")
    verdict = await run.result()
    assert (bool(verdict), verdict.text("a"), verdict.edits) == (True, "old", {})


async def test_values_that_do_not_fit_raise_and_give_no_verdict(client: Client) -> None:
    def never(value: int) -> int:
        raise ValueError("not this one")

    picky: Any = Annotated[int, AfterValidator(never)]
    run = await client.ask("How many?", kind="clarify", form=picky)
    await client.answer(await only_prompt(client, run.job_id), "RESPOND", values=3)
    with pytest.raises(ValueError, match="not this one"):
        await run.result()
    # A type other than a verdict would be true for a rejection.
    for wrong in (dict, bool, Plan):
        with pytest.raises(TypeError, match="its result is a Verdict"):
            await client.run(run.job_id, returns=wrong).result()


async def test_a_question_that_fails_its_job_raises(client: Client) -> None:
    run = await client.ask("Deploy?", deadline=0.1, on_deadline="FAIL_JOB")
    with pytest.raises(JobFailed):
        await run.result()


async def test_using_a_run_as_a_bool_raises(client: Client) -> None:
    run = await client.ask("Deploy?")
    with pytest.raises(TypeError, match=r"await run\.result\(\)"):
        assert run
    with pytest.raises(TypeError, match=r"await client\.ask"):
        assert client.ask("Deploy?")
    with pytest.raises(TypeError, match=r"await run\.result\(\.\.\.\)"):
        assert run.result()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(run.result())
        await client.answer(await only_prompt(client, run.job_id), "REJECT")
    assert not waiting.result()
