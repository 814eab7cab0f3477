"""A job in the hands of the program that started it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, Generic

from pydantic import TypeAdapter

from askback.backoff import Backoff
from askback.calls import Calls
from askback.enums import JobState
from askback.errors import Internal, JobCancelled, JobFailed, NotFound
from askback.following import messages
from askback.jobs import Event, JobInfo
from askback.prompts import PromptInfo
from askback.v1 import job_service_pb2 as pb

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # A plain `Run` is a Run[Any].
    R = TypeVar("R", default=Any)
else:
    from typing import TypeVar

    R = TypeVar("R")


class Run(Generic[R]):
    """A handle on one job. It holds no state of its own: make as many as you like, in any process.

    `returns` is the type that the result comes back as; without it, as plain JSON values.
    """

    def __init__(
        self, job_id: str, calls: Calls, *, prompt: PromptInfo | None = None, returns: type[R] | Any = Any
    ) -> None:
        self._calls = calls
        self._returns = returns
        self.job_id = job_id
        self.prompt = prompt
        """The prompt of a job without a worker, as it was when it was asked."""

    def __repr__(self) -> str:
        return f"<Run {self.job_id}>"

    async def job(self) -> JobInfo:
        """The job as it is now. Raises NotFound."""
        request = pb.GetJobRequest(job_id=self.job_id, consistency=pb.CONSISTENCY_STRONG)
        return JobInfo((await self._calls.unary(self._calls.jobs.GetJob, request)).job)

    async def cancel(self, reason: str = "") -> JobInfo:
        """Cancel it; on a job that a worker holds this is a wish. Raises FailedPrecondition if it ended."""
        request = pb.CancelJobRequest(job_id=self.job_id, reason=reason)
        return JobInfo((await self._calls.unary(self._calls.jobs.CancelJob, request)).job)

    async def watch(self, *, after_seq: int = 0) -> AsyncGenerator[Event, None]:
        """Every event above `after_seq`, once and in order, then live ones; ends with the job.

        Survives broken connections and restarts. Raises NotFound, Internal if the server leaves a gap.
        """
        last = after_seq
        backoff = Backoff()

        def start() -> Any:
            request = pb.WatchJobRequest(job_id=self.job_id, after_seq=last)
            return self._calls.jobs.WatchJob(request, metadata=self._calls.endpoint.metadata())

        while True:
            async for message in messages(start):
                for proto in message.events:
                    if proto.seq <= last:
                        continue
                    if proto.seq != last + 1:
                        raise Internal(f"job {self.job_id}: event {proto.seq} came after {last}")
                    last = proto.seq
                    event = Event.from_proto(proto)
                    yield event
                    if event.is_last:
                        return
            # In order, but without a last event: the job ended at or before `after_seq`, or the
            # server just wanted us to go.
            job = await self.job()
            if job.state.is_terminal and job.version <= last:
                return
            await asyncio.sleep(backoff.next())

    async def result(self) -> R:
        """Wait for the end and return the result: what the job's function returned.

        For a job without a worker the result is its prompt's resolution (a dict with `state`,
        `decision`, `values`, `comment`, …). Raises JobFailed, JobCancelled, NotFound, and ValueError for
        a result that does not fit the type that was expected.
        """
        job = await self.job()
        if not job.state.is_terminal:
            try:
                async for _ in self.watch(after_seq=job.version):
                    pass
                job = await self.job()
            except NotFound:
                raise JobCancelled("the job was deleted", job_id=self.job_id) from None
        if job.state is JobState.FAILED:
            code, message, details = job.failure or ("", "the job failed", None)
            raise JobFailed(message or code, job_id=self.job_id, failure_code=code, details=details)
        if job.state is JobState.CANCELLED:
            raise JobCancelled("the job was cancelled", job_id=self.job_id)
        if self._returns is Any:
            return job.result  # type: ignore[no-any-return]
        adapter: TypeAdapter[R] = TypeAdapter(self._returns)
        return adapter.validate_json(job.proto.result_json or "null")
