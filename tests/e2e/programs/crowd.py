"""Many consoles, or workers that hold a job, in one process: `TARGET consoles COUNT`,
`TARGET workers COUNT FILE`.

Consoles are raw streams that reconnect almost without a pause, as an impatient client does. Workers use the
SDK; each holds one job until the file exists.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import grpc

from askback import Job, Worker
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import hitl_service_pb2_grpc

PER_CONNECTION = 50


def _say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


async def consoles(target: str, count: int) -> None:
    """Run `count` consoles; report each time that all of them have received their view."""
    own = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200)]
    own += [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.min_reconnect_backoff_ms", 100)]
    channels = [grpc.aio.insecure_channel(target, options=own) for _ in range(-(-count // PER_CONNECTION))]
    views = 0

    async def console(number: int) -> None:
        nonlocal views
        stub = hitl_service_pb2_grpc.HitlServiceStub(channels[number // PER_CONNECTION])
        hello = hitl.ConverseRequest(frames=[hitl.ConverseClientFrame(ref=1, hello=hitl.ConverseHello())])
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                call = stub.Converse(metadata=(("askback-user", f"c{number}"),))
                await call.write(hello)
                async for message in call:
                    if any(f.prompt_event.HasField("caught_up") for f in message.frames):
                        views += 1
                        if not views % count:
                            _say("views", count=views)
            await asyncio.sleep(0.05)

    await asyncio.gather(*(console(number) for number in range(count)))


async def workers(target: str, count: int, enough: Path) -> None:
    """Run `count` workers; each runs one job until the file `enough` exists."""
    async with contextlib.AsyncExitStack() as stack:
        for number in range(count):
            worker = Worker(target, user=f"w{number}", worker_id=f"w{number}", capacity=1)

            @worker.job("long")
            async def long(job: Job) -> str:
                _say("begun", job=job.job_id)
                while not enough.exists():  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
                return "done"

            await stack.enter_async_context(worker)
        await asyncio.Event().wait()


if __name__ == "__main__":
    target, what, number = sys.argv[1:4]
    if what == "consoles":
        asyncio.run(consoles(target, int(number)))
    else:
        asyncio.run(workers(target, int(number), Path(sys.argv[4])))
