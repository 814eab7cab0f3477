"""Workers that are streams of raw frames."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from askback.v1 import worker_service_pb2 as w
from tests.bench.streams import Stream

HEARTBEAT_S = 5.0


class RawWorker:
    """A worker. Sends each job that it gets to `on_lease`, and otherwise keeps it."""

    def __init__(
        self,
        name: str,
        job_types: Sequence[str],
        capacity: int,
        namespace: str = "",
        on_lease: Callable[[RawWorker, Any], None] | None = None,
    ) -> None:
        self._name = name
        self._hello = w.WorkHello(worker_id=name, job_types=job_types, capacity=capacity, namespace=namespace)
        self._on_lease = on_lease
        self.held: dict[str, int] = {}
        """The token of each held job."""
        self.lost = 0
        """Leases that ended without the worker."""
        self.is_welcome = asyncio.Event()
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._refs = itertools.count(2)
        self._stream: Stream | None = None

    async def run(self, channel: Any) -> None:
        """Receive until the stream breaks. Resumes a session that it had before."""
        self.is_welcome.clear()
        metadata = (("askback-user", self._name),)
        stream = Stream(channel, "WorkerService/Work", w.WorkRequest, w.WorkResponse, metadata)
        self._stream = stream
        del self._hello.held_jobs[:]
        self._hello.held_jobs.extend(w.WorkHeldJob(job_id=j, token=t) for j, t in self.held.items())
        stream.outbox.send(w.WorkClientFrame(ref=1, hello=self._hello))
        beating = asyncio.create_task(self._beat(stream))
        try:
            async for frame in stream.frames():
                self._take(frame)
        except grpc.aio.AioRpcError:
            pass  # the server was killed
        finally:
            beating.cancel()
            stream.end()

    def send(self, **body: Any) -> None:
        """Send a frame whose reply does not matter."""
        assert self._stream is not None
        self._stream.outbox.send(w.WorkClientFrame(ref=next(self._refs), **body))

    async def request(self, **body: Any) -> Any:
        """Send a frame and wait for its reply."""
        assert self._stream is not None
        ref = next(self._refs)
        reply = self._replies[ref] = asyncio.get_running_loop().create_future()
        self._stream.outbox.send(w.WorkClientFrame(ref=ref, **body))
        return await reply

    async def _beat(self, stream: Stream) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            stream.outbox.send(w.WorkClientFrame(heartbeat=w.WorkHeartbeat()))

    def _take(self, frame: Any) -> None:
        match frame.WhichOneof("body"):
            case "welcome":
                if self._hello.session_id and not frame.welcome.resumed:
                    self.lost += len(self.held)
                self.lost += len(frame.welcome.lost_job_ids)
                self._hello.session_id = frame.welcome.session_id
                self._hello.session_secret = frame.welcome.session_secret or self._hello.session_secret
                self.is_welcome.set()
            case "job_leased":
                leased = frame.job_leased.leased_job
                self.held[leased.job.job_id] = leased.token
                if self._on_lease is not None:
                    self._on_lease(self, leased)
            case "lease_lost":
                self.lost += 1
            case "error":
                # An error of a frame that waits for nothing ends the stream's task.
                if frame.ref not in self._replies:
                    raise RuntimeError(f"refused: {frame.error}")
                self._replies.pop(frame.ref).set_exception(RuntimeError(f"refused: {frame.error}"))
            case _ if frame.ref in self._replies:
                self._replies.pop(frame.ref).set_result(frame)
