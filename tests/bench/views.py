"""`python -m tests.bench.views`: what consoles cost as prompts and consoles grow. One line of JSON per case.

The unit is the server's CPU: on a busy machine it holds, and times do not. `--db` names an empty database of
PostgreSQL; without it each run makes an SQLite file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import hitl_service_pb2_grpc, job_service_pb2_grpc
from askback.v1 import job_service_pb2 as jobs
from askback_server.storage.database import Database
from askback_server.storage.migrate import upgrade
from tests.bench.processes import cpu, memory
from tests.bench.servers import SERVE, serving
from tests.support.requests import confirm
from tests.support.rows import creation, new_job, new_prompt

CREDIT = 20
BURST = 100
CHANNELS = 10
OWN = [("grpc.use_local_subchannel_pool", 1)]


class Viewer:
    """A console that counts what it receives."""

    def __init__(self, stub: Any, user: str, namespace: str = "") -> None:
        self.stub = stub
        self.namespace = namespace
        self._user = user
        self.token = ""
        self.prompts = self.messages = 0
        self.caught_up = asyncio.Event()
        self.has_enough = asyncio.Event()
        self._enough = 0

    def await_more(self, prompts: int) -> None:
        """Set `has_enough` when this many more prompts have come."""
        self._enough = self.prompts + prompts
        self.has_enough.clear()

    async def run(self, credit: int = 0) -> None:
        """Receive until the stream breaks."""
        call = self.stub.Converse(metadata=(("askback-user", self._user),))
        hello = hitl.ConverseHello(namespace=self.namespace, credit=credit, resume_token=self.token)
        self.caught_up.clear()
        try:
            frame = hitl.ConverseClientFrame(ref=1, hello=hello)
            await call.write(hitl.ConverseRequest(frames=[frame]))
            async for message in call:
                self.messages += 1
                self._take(message)
                if self.prompts >= self._enough:
                    self.has_enough.set()
        except grpc.aio.AioRpcError:
            pass  # the server was killed
        finally:
            call.cancel()

    def _take(self, message: Any) -> None:
        for frame in message.frames:
            event = frame.prompt_event
            self.prompts += event.HasField("upserted")
            if event.HasField("caught_up"):
                self.token = event.caught_up.resume_token
                self.caught_up.set()
            self.token = frame.heartbeat.resume_token or self.token


class Clients:
    """Channels to a server, which is ready."""

    def __init__(self, pid: int, address: str) -> None:
        self.pid = pid
        self._channels = [grpc.aio.insecure_channel(address, options=OWN) for _ in range(CHANNELS)]
        self.stubs = [hitl_service_pb2_grpc.HitlServiceStub(channel) for channel in self._channels]
        askers = [grpc.aio.insecure_channel(address, options=OWN) for _ in range(4)]
        self._askers = [job_service_pb2_grpc.JobServiceStub(channel) for channel in askers]
        self._channels += askers

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    async def ask(self, namespace: str, number: int) -> None:
        """Ask one prompt, by a call."""
        request = jobs.CreateJobRequest(namespace=namespace, job_type="bench", prompt=confirm(f"{number}"))
        await self._askers[number % 4].CreateJob(request, metadata=(("askback-user", "asker"),))

    async def cost(self, work: Awaitable[Any]) -> dict[str, float]:
        """The server's CPU in ms, the seconds, and the growth of its memory in MiB."""
        before, occupied, began = cpu(self.pid)[0], memory(self.pid), time.perf_counter()
        await work
        seconds = time.perf_counter() - began
        await asyncio.sleep(0.3)  # what the server still does
        return {
            "cpu_ms": (cpu(self.pid)[0] - before) / 1000,
            "s": seconds,
            "memory_mib": (memory(self.pid) - occupied) / 1024,
        }


async def snapshots(clients: Clients, prompts: int) -> None:
    """A console with credit that gets its first prompts, and one that gets all."""
    stub = clients.stubs[0]
    for _ in range(2):  # the first one warms up
        first = await clients.cost(_first(Viewer(stub, "ada"), min(CREDIT, prompts)))
    say({"case": "first of a snapshot", "prompts": prompts, **first})
    viewer = Viewer(stub, "ada")
    every = await clients.cost(_until_caught_up([viewer]))
    assert viewer.prompts == prompts
    say(
        {
            "case": "snapshot",
            "prompts": prompts,
            **every,
            "cpu_us_each": 1000 * every["cpu_ms"] / max(1, prompts),
        }
    )


async def _first(viewer: Viewer, enough: int) -> None:
    viewer.await_more(enough)
    _running.add(asyncio.create_task(viewer.run(CREDIT)))
    await (viewer.has_enough if enough else viewer.caught_up).wait()


_running: set[asyncio.Task[None]] = set()


async def _until_caught_up(viewers: Sequence[Viewer]) -> None:
    for viewer in viewers:
        viewer.caught_up.clear()
        _running.add(asyncio.create_task(viewer.run()))
    await asyncio.gather(*(viewer.caught_up.wait() for viewer in viewers))


async def open_all(clients: Clients, viewers: Sequence[Viewer], what: str) -> None:
    """Open the consoles, or resume them if they have tokens."""
    for n, viewer in enumerate(viewers):
        viewer.stub = clients.stubs[n % CHANNELS]
    count = len(viewers)
    opened = await clients.cost(_until_caught_up(viewers))
    say({"case": what, "consoles": count, **opened, "cpu_ms_each": opened["cpu_ms"] / count})


async def resume_all(clients: Clients, viewers: Sequence[Viewer], who: str) -> None:
    """Resume the consoles at a server that has just started, then a burst of prompts by single calls."""
    await open_all(clients, viewers, f"resume, {who}")
    count = len(viewers)
    for _ in range(3):
        messages = sum(viewer.messages for viewer in viewers)
        found = await clients.cost(_burst(clients, viewers))
        each = (sum(viewer.messages for viewer in viewers) - messages) / count
        us = 1000 * found["cpu_ms"] / count / BURST
        say({"case": f"burst, {who}", "consoles": count, **found, "messages_each": each, "cpu_us_each": us})


async def _burst(clients: Clients, viewers: Sequence[Viewer]) -> None:
    for viewer in viewers:
        viewer.await_more(BURST)
    await asyncio.gather(*(clients.ask(viewers[0].namespace, n) for n in range(BURST)))
    await asyncio.gather(*(viewer.has_enough.wait() for viewer in viewers))


async def run(url: str, prompts: Sequence[int], count: int) -> None:
    """Measure all cases on one database."""
    await asyncio.to_thread(upgrade, url)
    done = 0
    for total in sorted(prompts):
        database = await Database.open(url)
        while done < total:
            made = [new_job(ready_at=None) for _ in range(min(1_000, total - done))]
            await database.jobs.write([creation(job, new_prompt(job)) for job in made])
            done += len(made)
        await database.close()
        await _serve(url, partial(snapshots, prompts=total))
    for who in ("one person", "many people"):
        namespace = who.replace(" ", "-")
        users = ["ada" if who == "one person" else f"{n}" for n in range(count)]
        viewers = [Viewer(None, user, namespace) for user in users]
        await _serve(url, partial(open_all, viewers=viewers, what=f"open, {who}"))
        await _serve(url, partial(resume_all, viewers=viewers, who=who))


async def _serve(url: str, work: Callable[[Clients], Awaitable[None]]) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(SERVE, {"ASKBACK_DB": url}, Path(folder)) as (pid, address),
    ):
        clients = Clients(pid, address)
        try:
            await work(clients)
        finally:
            for task in _running:
                task.cancel()
            await asyncio.gather(*_running, return_exceptions=True)
            _running.clear()
            await clients.close()


def say(found: dict[str, Any]) -> None:
    """Print a case."""
    print(json.dumps({k: round(v, 2) if isinstance(v, float) else v for k, v in found.items()}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.views", description=__doc__)
    parser.add_argument("--db", help="an empty database; default a new SQLite file")
    parser.add_argument("--prompts", type=int, nargs="*", default=[0, 1_000, 10_000])
    parser.add_argument("--consoles", type=int, default=500)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = asked.db or f"sqlite+aiosqlite:///{folder}/views.db"
        asyncio.run(run(url, asked.prompts, asked.consoles))


if __name__ == "__main__":
    main()
