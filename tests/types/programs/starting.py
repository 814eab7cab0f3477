"""Types of jobs that a program starts."""

from typing import Any, assert_type

from pydantic import BaseModel

from askback import Client, Event, Job, JobState, Run, Tls, Worker


class Receipt(BaseModel):
    paid: float


worker = Worker("dns:///askback:50051")


@worker.job("refund")
async def refund(job: Job, order: str, days: int = 14) -> float:
    return 0.0


@worker.job("receipt")
async def receipt(job: Job, order: str) -> Receipt:
    child = await refund.using(request_id=f"{job.job_id}/refund").start(order=order)
    return Receipt(paid=await child.result())


async def main() -> None:
    async with Client.connect("dns:///askback:50051", token="t", tls=Tls.from_files(ca="ca.pem")) as client:
        assert_type(client, Client)
        run = await refund.start(order="A-17", days=41)
        assert_type(run, Run[float])
        assert_type(await run.result(), float)
        assert_type(await (await refund.start("A-17")).result(), float)
        assert_type(await (await receipt.start(order="A-17")).result(), Receipt)
        other = await receipt.using(client, request_id="r", priority=3).start(order="A-17")
        assert_type(await other.result(), Receipt)
        async for event in run.watch():
            assert_type(event, Event)
            assert_type(event.state, JobState)
            assert_type(event.message, str)

        assert_type(await client.start("refund", {"order": "A-17"}), Run[Any])
        named = await client.start("receipt", {"order": "A-17"}, returns=Receipt, priority=1)
        assert_type(await named.result(), Receipt)
        assert_type(await client.run("id", returns=float).result(), float)
        bare: Run = client.run("id")
        assert_type(bare, Run[Any])

        # Errors that type checkers must find.
        await refund.start()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        await refund.start(order=17)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await refund.start(order="A", day=4)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        await refund.using(client).start(17)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        refund.using(client, colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        Client.connect("x", colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
