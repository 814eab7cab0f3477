"""Consoles that count what they receive, and calls, for any server with the contract."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import Any

import grpc

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import hitl_service_pb2_grpc, job_service_pb2_grpc
from askback.v1 import job_service_pb2 as jobs
from tests.bench.processes import cpu, memory
from tests.bench.servers import RunningServer
from tests.bench.streams import open_channels
from tests.support.requests import confirm

STREAMS_EACH = 100
"""Streams of one connection."""
OPENED_AT_ONCE = 1_000
"""Consoles that are opened together: with more, the client is late with its own hellos."""
ASKERS = 4
SETTLING_S = 0.3
"""Seconds in which a server does what it does after its replies."""


class Viewer:
    """A console that counts what it receives."""

    def __init__(self, user: str, namespace: str = "") -> None:
        self._user = user
        self._namespace = namespace
        self.token = ""
        self.prompts = self.messages = 0
        self.caught_up = asyncio.Event()
        self.has_enough = asyncio.Event()
        self.error: grpc.aio.AioRpcError | None = None
        self._enough = 0

    def await_more(self, prompts: int) -> None:
        """Set `has_enough` when this many more prompts have come."""
        self._enough = self.prompts + prompts
        self.has_enough.clear()

    async def run(self, stub: Any, credit: int = 0) -> None:
        """Receive until the stream breaks. Resumes a view that it had before."""
        call = stub.Converse(metadata=(("askback-user", self._user),))
        hello = hitl.ConverseHello(namespace=self._namespace, credit=credit, resume_token=self.token)
        self.caught_up.clear()
        try:
            frame = hitl.ConverseClientFrame(ref=1, hello=hello)
            await call.write(hitl.ConverseRequest(frames=[frame]))
            async for message in call:
                self.messages += 1
                self._take(message)
                if self.prompts >= self._enough:
                    self.has_enough.set()
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:  # the server was killed
                self._fail(error)
        finally:
            call.cancel()

    def _fail(self, error: grpc.aio.AioRpcError) -> None:
        """End all waits for this console with an error."""
        self.error = error
        self.caught_up.set()
        self.has_enough.set()

    async def wait_until_caught_up(self) -> None:
        """Wait for the end of the snapshot. Raises the error that ended the stream."""
        await self.caught_up.wait()
        if self.error is not None:
            raise self.error

    async def wait_until_enough(self) -> None:
        """Wait for the prompts that `await_more` was given. Raises the error that ended the stream."""
        await self.has_enough.wait()
        if self.error is not None:
            raise self.error

    def _take(self, message: Any) -> None:
        for frame in message.frames:
            event = frame.prompt_event
            self.prompts += event.HasField("upserted")
            if event.HasField("caught_up"):
                self.token = event.caught_up.resume_token
                self.caught_up.set()
            self.token = frame.heartbeat.resume_token or self.token


class Clients:
    """The consoles and callers of a server, each console on one of `connections`."""

    def __init__(self, server: RunningServer, connections: int = 1) -> None:
        self._server = server
        self.channels = open_channels(server.address, connections)
        self._askers = open_channels(server.address, ASKERS)
        self._consoles = [hitl_service_pb2_grpc.HitlServiceStub(channel) for channel in self.channels]
        self._jobs = [job_service_pb2_grpc.JobServiceStub(channel) for channel in self._askers]
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Clients:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()
        for channel in (*self.channels, *self._askers):
            await channel.close(None)

    async def leave(self) -> None:
        """End the consoles."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running.clear()

    def start(self, viewer: Viewer, credit: int = 0) -> None:
        """Open the stream of a console."""
        stub = self._consoles[len(self._running) % len(self._consoles)]
        self._running.add(asyncio.create_task(viewer.run(stub, credit)))

    async def open_all(self, viewers: Sequence[Viewer]) -> None:
        """Open or resume consoles, `OPENED_AT_ONCE` at a time, and wait until all have caught up."""
        for first in range(0, len(viewers), OPENED_AT_ONCE):
            portion = viewers[first : first + OPENED_AT_ONCE]
            for viewer in portion:
                viewer.caught_up.clear()
                self.start(viewer)
            await asyncio.gather(*(viewer.wait_until_caught_up() for viewer in portion))

    async def open_first(self, viewer: Viewer, credit: int, enough: int) -> None:
        """Open a console with credit, and wait for its first prompts, or for the end of an empty snapshot."""
        viewer.await_more(enough)
        self.start(viewer, credit)
        await (viewer.wait_until_enough() if enough else viewer.wait_until_caught_up())

    async def open_without_reading(self) -> Any:
        """Open a console that never reads. Returns its call."""
        call = self._consoles[0].Converse(metadata=(("askback-user", "slow"),))
        frame = hitl.ConverseClientFrame(ref=1, hello=hitl.ConverseHello())
        await call.write(hitl.ConverseRequest(frames=[frame]))
        return call

    async def ask(self, number: int) -> None:
        """Ask one prompt, by a call."""
        request = jobs.CreateJobRequest(job_type="bench", prompt=confirm(f"{number}"))
        await self._jobs[number % ASKERS].CreateJob(request, metadata=(("askback-user", "asker"),))

    async def ask_all(self, prompts: int, viewers: Sequence[Viewer]) -> None:
        """Ask prompts by calls at the same time, and wait until all consoles have them."""
        for viewer in viewers:
            viewer.await_more(prompts)
        await asyncio.gather(*(self.ask(n) for n in range(prompts)))
        await asyncio.gather(*(viewer.wait_until_enough() for viewer in viewers))

    async def cost(self, work: Awaitable[Any]) -> dict[str, float]:
        """The server's CPU in ms, the seconds, and the growth of its memory in MiB."""
        pid = self._server.pid
        before, occupied, began = cpu(pid)[0], memory(pid), time.perf_counter()
        await work
        seconds = time.perf_counter() - began
        await asyncio.sleep(SETTLING_S)
        return {
            "cpu_ms": (cpu(pid)[0] - before) / 1000,
            "s": seconds,
            "memory_mib": (memory(pid) - occupied) / 1024,
        }
