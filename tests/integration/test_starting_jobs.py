"""Job functions that start jobs: on the current client, on a named one, or on the worker's own."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel

from askback import Client, Job, JobState, Worker
from tests.support.refusals import SOON
from tests.support.service import ServiceWorld


class Receipt(BaseModel):
    order: str
    paid: float


def a_worker(target: str) -> Worker:
    worker = Worker(target, user="worker")

    @worker.job("receipt")
    async def receipt(job: Job, order: str, paid: float = 1.5) -> Receipt:
        return Receipt(order=order, paid=paid)

    @worker.job("nothing")
    async def nothing(job: Job) -> None: ...

    @worker.job("parent")
    async def parent(job: Job, order: str) -> Receipt:
        # No client is entered here, so the worker's own is used.
        run = await receipt.using(request_id=f"{job.job_id}/receipt").start(order=order, paid=3)
        return await run.result()

    return worker


async def test_a_job_function_starts_jobs_on_the_named_or_current_client(lite: ServiceWorld) -> None:
    target = f"127.0.0.1:{lite.service.port}"
    worker = a_worker(target)
    receipt, nothing, parent = worker.jobs
    with pytest.raises(RuntimeError, match="enter a client first"):
        await receipt.start(order="A-17")
    async with worker, asyncio.timeout(SOON):
        with pytest.raises(RuntimeError, match="enter a client first"):
            await receipt.start(order="A-17")
        async with Client(target, user="outer"):
            assert await (await receipt.start(order="A-17")).result() == Receipt(order="A-17", paid=1.5)
            assert await (await nothing.start()).result() is None
            assert await (await parent.start(order="B-3")).result() == Receipt(order="B-3", paid=3)
            async with Client(target, user="inner") as inner:
                run = await receipt.start(order="A-17")
                assert (await run.job()).proto.user_id == "inner"
            run = await receipt.start(order="A-17")
            assert (await run.job()).proto.user_id == "outer"
            named = receipt.using(inner, request_id="once", labels={"a": "b"})
            twice = [(await named.start(order="A-17")).job_id for _ in range(2)]
            assert twice[0] == twice[1]
            job = await inner.get(twice[0])
            assert (job.proto.user_id, job.labels) == ("inner", {"a": "b"})
            await inner.aclose()
        with pytest.raises(RuntimeError, match="enter a client first"):
            await receipt.start(order="A-17")


async def test_results_have_the_declared_type(lite: ServiceWorld) -> None:
    target = f"127.0.0.1:{lite.service.port}"
    async with a_worker(target), Client(target) as client, asyncio.timeout(SOON):
        run = await client.start("receipt", {"order": "A-17"}, returns=Receipt)
        assert await run.result() == Receipt(order="A-17", paid=1.5)
        assert await client.run(run.job_id).result() == {"order": "A-17", "paid": 1.5}
        assert await client.run(run.job_id, returns=Receipt).result() == Receipt(order="A-17", paid=1.5)
        with pytest.raises(ValueError, match="validation error"):
            await client.run(run.job_id, returns=int).result()
        assert (await run.job()).state is JobState.COMPLETED
