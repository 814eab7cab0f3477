"""Numbers keep every digit from client over server, database and worker to a person, and back."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from askback import Client, Job, Worker
from tests.support.refusals import SOON
from tests.support.service import ServiceWorld
from tests.support.shell import Shell

LONG, PRICE, BIG, HUGE = "0.12345678901234567890123", "12.50", 9007199254740993, -(10**30) - 7
PLAIN = {"long": Decimal(LONG), "price": Decimal(PRICE), "big": BIG, "huge": HUGE}


class Bill(BaseModel):
    long: Decimal
    price: Decimal
    big: int
    huge: int


def a_worker(target: str) -> Worker:
    worker = Worker(target, user="worker")

    def compute(given: dict[str, Any]) -> dict[str, Any]:
        return given

    @worker.job("bill")
    async def bill(
        job: Job, long: Decimal, price: Decimal, big: int, huge: int, plain: Any
    ) -> dict[str, Any]:
        assert (str(long), str(price), big, huge, plain) == (LONG, PRICE, BIG, HUGE, PLAIN)
        assert job.input["plain"] == PLAIN
        stepped = await job.step("compute", compute, plain)
        told = await job.ask("What does it cost?", Bill, key="cost")
        state = await job.update_understanding(research_performed=[plain])
        assert state.research_performed == [PLAIN]
        return {"stepped": stepped, "told": [told.long, told.price, told.big, told.huge]}

    return worker


async def test_numbers_keep_every_digit_from_client_to_worker_and_back(world: ServiceWorld) -> None:
    target = f"127.0.0.1:{world.service.port}"
    async with a_worker(target), Client(target, user="ana") as client, asyncio.timeout(SOON):
        run = await client.start("bill", {**PLAIN, "plain": PLAIN})
        async for event in run.watch():
            if event.type == "PROMPT_ASKED":
                break
        prompt = await client.prompt(job_id=run.job_id, key="cost")
        await client.answer(prompt, "RESPOND", values=PLAIN)
        result = await run.result()
        assert result == {"stepped": PLAIN, "told": [Decimal(LONG), Decimal(PRICE), BIG, HUGE]}
        job = await run.job()
        # The server stores the exact text, including the zero of 12.50.
        assert LONG in job.proto.result_json
        assert job.proto.input_json.count("12.50") == 2
        answered = await client.prompt(prompt.prompt_id)
        assert answered.answered is not None
        given = f'{{"long":{LONG},"price":{PRICE},"big":{BIG},"huge":{HUGE}.0}}'
        assert answered.answered.values_json == given
        assert answered.answered.values == PLAIN


async def test_the_command_line_prints_every_digit(lite: ServiceWorld, shell: Shell) -> None:
    """The typed number in every output for people and for programs."""
    target = f"127.0.0.1:{lite.service.port}"
    form = {"type": "object", "properties": {"cost": {"type": "number"}}}
    async with Client(target, user="ana") as client:
        run = await client.ask("What does it cost?", kind="clarify", form=form)
    prompt_id = (await shell.ok("inbox", "ls", "--json")).json["promptId"]
    await shell.ok("inbox", "answer", prompt_id, "cost=1234567890.12345678901234567890")
    for words in (("job", "show", run.job_id), ("inbox", "show", prompt_id)):
        for option in ((), ("--json",)):
            assert "1234567890.12345678901234567890" in (await shell.ok(*words, *option)).out
    started = await shell.ok("job", "start", "x", "n:=12.50", f"m:={LONG}", "--json")
    shown = json.loads(started.out, parse_float=str)
    assert shown["input"] == {"n": "12.50", "m": LONG}
