"""Types of the answers in a job function."""

import asyncio
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Optional, assert_type

from pydantic import BaseModel, Field

from askback import After, Client, Job, Remind, Run, Understanding, Verdict, Worker


class Policy(StrEnum):
    STANDARD = "standard"
    GOODWILL = "goodwill"


class Ruling(BaseModel):
    policy: Policy
    amount: float


@dataclass
class Address:
    street: str
    city: str


worker = Worker()


def total(lines: list[int], extra: int = 0) -> int:
    return sum(lines) + extra


async def fetch(order: str) -> Ruling:
    return Ruling(policy=Policy.STANDARD, amount=float(order))


@worker.job("everything")
async def everything(job: Job, order: str) -> None:
    assert_type(await job.ask("Why?", key="text"), str)
    assert_type(await job.ask("Why?", str, key="str"), str)
    assert_type(await job.ask("Sure?", bool, key="bool"), bool)
    assert_type(await job.ask("How many?", int, key="int"), int)
    assert_type(await job.ask("Which?", Policy, key="enum"), Policy)
    assert_type(await job.ask("How?", Ruling, key="model", to=["group:desk"]), Ruling)
    assert_type(await job.ask("Where?", Address, key="dataclass"), Address)
    assert_type(await job.ask("Which ones?", list[str], key="list"), list[str])
    assert_type(await job.ask("Where to?", Literal["a", "b"], key="literal"), Literal["a", "b"])
    assert_type(await job.ask("Any comment?", str | None, key="optional"), str | None)
    assert_type(await job.ask("Which day?", Optional[date], key="date"), date | None)  # noqa: UP045
    assert_type(await job.ask("Name or number?", int | str, key="union"), int | str)
    assert_type(await job.ask("How much?", Annotated[int, Field(ge=1)], key="annotated"), int)
    four_hours = timedelta(hours=4)
    assert_type(await job.ask("Or not?", int, key="none", deadline=four_hours, default=None), int | None)
    assert_type(await job.ask("Or so?", int, key="default", deadline=four_hours, default=3), int)

    steps = [After(four_hours).to("group:leads"), After(20_000).to("user:ana", instead=True).raising(5)]
    pressed = await job.ask("Or they?", int, key="pressed", escalate=steps, remind=Remind(600, times=3))
    assert_type(pressed, int)
    assert_type(await job.ask("Again?", key="again", remind=timedelta(minutes=30)), str)

    decision = await job.confirm("Pay?", key="pay")
    assert_type(decision, Verdict[None])
    assert_type(decision.answered, bool)
    assert_type(decision.values, None)
    assert_type(decision.comment, str)
    assert_type(decision.by, str)
    assert_type(await job.validate("Right?", key="report", report={"rows": 3}), Verdict[None])
    ruled = await job.validate("Right?", key="ruled", report="fine", form=Ruling)
    assert_type(ruled, Verdict[Ruling])
    assert_type(ruled.values.amount, float)
    assert_type((await job.confirm("Pay?", key="policy", form=Policy)).values, Policy)
    sides = await job.confirm("Pay?", key="side", form=Literal["left", "right"])
    assert_type(sides.values, Literal["left", "right"])
    assert_type((await job.confirm("Pay?", key="schema", form={"type": "object"})).values, dict[str, Any])
    preview = await job.preview("So?", key="notes", contents={"notes": "text"})
    assert_type(preview, Verdict[None])
    told = await job.preview("So?", key="told", contents={"notes": "text"}, form=Address)
    assert_type(told.values, Address)
    assert_type(preview.text("notes"), str)

    assert_type(await job.step("total", total, [1, 2], extra=3), int)
    assert_type(await job.step("fetch", fetch, order), Ruling)
    assert_type(await job.understanding(), Understanding)
    await job.progress(1, 3, "order loaded")

    law, finance = await asyncio.gather(
        job.confirm("Law?", key="law"), job.confirm("Pay?", key="fin", form=int)
    )
    assert_type(law, Verdict[None])
    assert_type(finance, Verdict[int])
    assert_type(await asyncio.create_task(job.ask("Which?", Policy, key="task")), Policy)
    assert_type(await asyncio.wait_for(job.confirm("Now?", key="now"), 3), Verdict[None])

    # Errors that type checkers must find.
    await job.ask("Why?")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await job.ask("Why?", key="k", colour="red")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await job.confirm("Pay?", key="k", to=3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await job.step("total", total, ["1"])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


async def without_a_worker(client: Client) -> None:
    gate = await client.ask("Deploy?", to=["group:release"])
    assert_type(gate, Run[Verdict[None]])
    plan = await client.ask("How?", form=Ruling, kind="clarify")
    assert_type(await plan.result(), Verdict[Ruling])
    assert_type((await plan.result()).values, Ruling)
    elsewhere = client.run("id", returns=Verdict[Ruling])
    assert_type(await elsewhere.result(), Verdict[Ruling])
    bare: Verdict = await client.run("id", returns=Verdict).result()
    assert_type(bare.values, Any)
    await client.ask("Deploy?", colour="red")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
