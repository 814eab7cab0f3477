"""askback.testing, as its user writes it."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

import pytest
from pydantic import BaseModel, Field

from askback import Job, Worker
from askback.testing import Clock, Human


class Policy(StrEnum):
    STANDARD = "standard"
    GOODWILL = "goodwill"
    LEGAL = "legal"


class Ruling(BaseModel):
    policy: Policy = Field(title="Which policy applies?")
    amount: float = Field(ge=0, title="Refund in EUR")
    rationale: str = ""


worker = Worker("dns:///askback:50051", token="not-for-a-test")


@worker.job("refund")
async def refund(job: Job, order: str, days: int) -> float:
    await job.progress(1, 3, "order loaded")
    ruling = await job.ask(
        "How should we rule on this refund?", Ruling,
        key="ruling", body=f"Returned after **{days} days**.",
        to=["group:refund-desk"], deadline=timedelta(hours=4),
    )  # fmt: skip
    if ok := await job.confirm(f"Pay {ruling.amount:.2f} EUR for {order}?", key="pay"):
        await job.progress(3, 3, f"approved by {ok.by}")
        return ruling.amount
    return 0.0


async def test_goodwill_is_paid(human: Human) -> None:
    human.on("how should we rule").answers({"policy": "goodwill", "amount": 12.5})
    human.on(kind="confirm").approves("fine")
    run = await refund.start(order="A-17", days=41)
    assert await run.result() == 12.5
    assert human.seen == ["ruling", "pay"]


async def test_unexpected_prompt_fails_loudly(human: Human) -> None:
    with pytest.raises(AssertionError, match="no fake-human rule"):
        await (await refund.start(order="x", days=1)).result()


async def test_nobody_answers(human: Human, clock: Clock) -> None:
    human.on("how should we rule").never()
    run = await refund.start(order="A-17", days=41)
    await clock.advance(hours=4)
    with pytest.raises(Exception, match="nobody answered"):
        await run.result()
