"""One client with more streams than a connection carries."""

import asyncio

from askback import Client, Event, Run
from tests.support.service import serving
from tests.support.waiting import until

STREAMS = 120


async def test_a_client_may_have_more_streams_than_one_connection_carries(lite_url: str) -> None:
    """Calls above the server's limit would wait in the transport, also unary calls of this client."""
    async with (
        serving(lite_url, streams_per_connection=64) as world,
        Client(f"127.0.0.1:{world.service.port}", user="ana") as client,
    ):
        async with asyncio.timeout(30):
            runs = [await client.start("t", {"n": n}) for n in range(STREAMS)]
        seen: list[list[Event]] = [[] for _ in runs]

        async def follow(run: Run[object], events: list[Event]) -> None:
            async for event in run.watch():
                events.append(event)

        watching = [asyncio.create_task(follow(run, events)) for run, events in zip(runs, seen, strict=True)]
        try:
            await until(lambda: all(seen))
            open_calls = world.service._server.calls.streams  # type: ignore[union-attr]
            assert open_calls.total == STREAMS
            # Unary calls work beside them, and also end the watches.
            async with asyncio.timeout(10):
                assert (await runs[0].job()).job_id == runs[0].job_id
            async with asyncio.timeout(30):
                await asyncio.gather(*(run.cancel("enough") for run in runs))
                await asyncio.gather(*watching)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        for events in seen:
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert len(events) == 2
            assert [event.is_last for event in events] == [False, True]
