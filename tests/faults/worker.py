"""A worker with raw frames: `python -m tests.faults.worker`.

It follows the plan in a job's input, from the start after each lease, asks by key, and completes with the
answers. To a lost job it writes once more with the old token, like a zombie worker.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from askback._wire.stream import ReconnectingStream
from askback.errors import AskbackError
from askback.v1 import worker_service_pb2 as pb
from askback.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.faults.job_run import Run
from tests.faults.plan import TYPE
from tests.faults.program import Program, refusal

_BODIES = {
    "ask": "ask_prompt",
    "ack": "acknowledge_prompts",
    "complete": "complete_job",
    "fail": "fail_job",
    "release": "release_job",
    "progress": "report_progress",
    "zombie": "report_progress",
}


class RawWorker:
    """The worker's side of Work."""

    name = "work"
    method = "WorkerService.Work"
    session: object = None
    window = 64

    def __init__(self, program: Program) -> None:
        self._program = program
        self.record = program.record
        self._capacity = program.options.get("capacity", 30)
        self._session = ReconnectingStream(self, program.endpoint, backoff_cap=1.0)  # type: ignore[arg-type]
        self._session_id = self._secret = ""
        self.runs: dict[str, Run] = {}
        self._zombies: set[asyncio.Task[None]] = set()

    # The methods that a ReconnectingStream calls (see FrameProtocol).

    def dial(self, channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]]) -> Any:
        stub: Any = WorkerServiceStub(channel)
        return stub.Work(metadata=tuple(metadata))

    def pack(self, frames: Sequence[Any]) -> pb.WorkRequest:
        return pb.WorkRequest(frames=frames)

    def hello(self) -> pb.WorkClientFrame:
        hello = pb.WorkHello(
            worker_id=self._program.name,
            job_types=[TYPE],
            capacity=self._capacity,
            session_id=self._session_id,
            session_secret=self._secret,
        )
        if self._session_id:
            for run in self.runs.values():
                hello.held_jobs.add(job_id=run.job_id, token=run.token)
        self.record.write("hello", session=self._session_id)
        return pb.WorkClientFrame(hello=hello)

    def heartbeat(self, *, leaving: bool) -> pb.WorkClientFrame:
        return pb.WorkClientFrame(heartbeat=pb.WorkHeartbeat())

    def goodbye(self) -> pb.WorkClientFrame:
        return pb.WorkClientFrame(goodbye=pb.WorkGoodbye())

    def on_welcome(self, frame: pb.WorkServerFrame) -> float:
        welcome = frame.welcome
        self.record.write(
            "welcome",
            session=welcome.session_id,
            resumed=welcome.resumed,
            replica=welcome.replica,
            lost=list(welcome.lost_job_ids),
        )
        self._session_id, self._secret = welcome.session_id, welcome.session_secret
        for job_id in list(self.runs) if not welcome.resumed else list(welcome.lost_job_ids):
            self._lose(job_id)
        return welcome.heartbeat_interval.ToTimedelta().total_seconds()

    def on_open(self, put: Callable[[Any], None]) -> None:
        pass

    def on_push(self, frame: pb.WorkServerFrame, *, leaving: bool) -> None:
        match frame.WhichOneof("body"):
            case "job_leased":
                self._start_run(frame.job_leased.leased_job)
            case "prompt_resolved":
                prompt = frame.prompt_resolved.prompt
                if frame.prompt_resolved.late_answer:
                    self.record.write("late", j=prompt.job_id, p=prompt.prompt_id)
                elif (run := self.runs.get(prompt.job_id)) is not None:
                    run.take_resolution(prompt)
            case "lease_lost" if not leaving:  # the old stream does not know the leases of the next one
                self.record.write("lease_lost", j=frame.lease_lost.job_id, k=frame.lease_lost.token)
                run = self.runs.get(frame.lease_lost.job_id)
                if run is not None and run.token == frame.lease_lost.token:
                    self._lose(run.job_id)
            case "cancel_requested":
                run = self.runs.get(frame.cancel_requested.job_id)
                if run is not None:
                    self._stop(run)

    def on_refusal(self, error: AskbackError, session: object) -> bool:
        if error.reason == "ERROR_REASON_SESSION_NOT_FOUND":
            self.record.write("session_lost", session=self._session_id)
            self._session_id = self._secret = ""
            for job_id in list(self.runs):
                self._lose(job_id)
            return True
        return False

    def on_disconnect(self, spoken: float) -> None:
        self.record.write("lost")

    # The methods that a job's run calls.

    async def call(self, what: str, job_id: str, token: int, message: Any, **facts: Any) -> Any:
        """Make one write and record it. Raises AskbackError."""
        op = self.record.invoke(what, j=job_id, k=token, **facts)
        frame = pb.WorkClientFrame()
        body = _BODIES[what]
        getattr(frame, body).CopyFrom(message)
        try:
            reply = getattr(await self._session.request(frame), body)
        except AskbackError as error:
            if error.code not in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
                self.record.write("no", op=op, **refusal(error))
            raise
        fields: dict[str, Any] = {}
        if what == "ask":
            fields = {"p": reply.prompt.prompt_id, "again": reply.replayed, "v": reply.prompt.version}
            if not reply.replayed and reply.prompt.revision == 1:
                self._program.count("prompts")
        self.record.write("ok", op=op, **fields)
        return reply

    def discard(self, run: Run) -> None:
        """Forget a run that has ended."""
        if self.runs.get(run.job_id) is run:
            del self.runs[run.job_id]

    def _start_run(self, leased: pb.LeasedJob) -> None:
        known = self.runs.get(leased.job.job_id)
        self.record.write("leased", j=leased.job.job_id, k=leased.token, attempt=leased.job.attempt)
        if known is not None:
            if known.token == leased.token:
                return
            known.task.cancel()
        self.runs[leased.job.job_id] = Run(self, leased)

    def _lose(self, job_id: str) -> None:
        run = self.runs.pop(job_id, None)
        if run is not None:
            run.task.cancel()
            task = asyncio.create_task(self._write_as_zombie(run))
            self._zombies.add(task)
            task.add_done_callback(self._zombies.discard)

    async def _write_as_zombie(self, run: Run) -> None:
        """Write with a lost fencing token: the server must refuse it."""
        await asyncio.sleep(self._program.rng.uniform(0.1, 2.0))
        report = pb.ReportProgressRequest(job_id=run.job_id, token=run.token, milestone=True)
        report.progress.message = f"zombie {time.time():.3f}"
        try:
            await self.call("zombie", run.job_id, run.token, report)
        except AskbackError:
            return

    def _stop(self, run: Run) -> None:
        """Stop a run and confirm the cancellation."""

        async def confirm() -> None:
            run.task.cancel()
            failure = pb.FailJobRequest(job_id=run.job_id, token=run.token)
            failure.failure.code = "CANCELLED"
            try:
                await self.call("fail", run.job_id, run.token, failure)
            except AskbackError:
                return

        task = asyncio.create_task(confirm())
        self._zombies.add(task)
        task.add_done_callback(self._zombies.discard)

    async def start(self) -> None:
        """Open the stream."""
        await self._session.start()

    async def leave(self) -> None:
        """Close the stream normally."""
        if self._zombies:
            await asyncio.wait(self._zombies, timeout=10)
        await self._session.aclose()


def main() -> None:
    """Run until the order to leave."""
    program = Program.from_command_line()

    async def live() -> None:
        worker = RawWorker(program)
        await worker.start()
        program.report(ready=True)
        await program.next_order()
        await worker.leave()

    program.run(live)


if __name__ == "__main__":
    main()
