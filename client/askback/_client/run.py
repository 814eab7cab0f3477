"""The handle of a job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, NoReturn, get_args, get_origin

from pydantic import TypeAdapter

from askback._client.unawaited import must_await
from askback._client.verdict import Verdict, values_of, verdict_of
from askback._model.enums import JobState
from askback._model.form import form_of
from askback._model.jobs import Event, JobInfo
from askback._model.json_text import validate
from askback._model.prompts import PromptInfo
from askback._model.times import seconds
from askback._wire.backoff import Backoff
from askback._wire.calls import Calls
from askback._wire.following import messages
from askback.errors import Internal, JobCancelled, JobFailed, NotFound, PermissionDenied
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as pb

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # A plain `Run` is a Run[Any].
    R = TypeVar("R", default=Any)
else:
    from typing import TypeVar

    R = TypeVar("R")

ONLY_PROMPT = "prompt"
"""The key that the server gives the prompt of a job without a worker."""


class Run(Generic[R]):
    """A handle of one job. It is stateless: create any number of them, in any process.

    The result is converted to the type `returns`; without it, it consists of plain JSON values. A Run has no
    truth value: `bool(run)` raises TypeError, because a job is not an answer.
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

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self!r} is a job and not its result: write `await run.result()`")

    @must_await("run.job")
    async def job(self) -> JobInfo:
        """Read the job. Raises NotFound."""
        return await self._job()

    async def _job(self, *, patient: bool = False) -> JobInfo:
        request = pb.GetJobRequest(job_id=self.job_id, consistency=pb.CONSISTENCY_STRONG)
        reply = await self._calls.unary(self._calls.jobs.GetJob, request, patient=patient)
        return JobInfo(reply.job)

    @must_await("run.cancel")
    async def cancel(self, reason: str = "") -> JobInfo:
        """Cancel the job. The worker of a running job is notified and has 30 s to stop. Raises
        FailedPrecondition if the job has ended."""
        request = pb.CancelJobRequest(job_id=self.job_id, reason=reason)
        return JobInfo((await self._calls.unary(self._calls.jobs.CancelJob, request)).job)

    async def watch(self, *, after_seq: int = 0) -> AsyncGenerator[Event, None]:
        """Yield every event after `after_seq`, once and in order, then live events, until the job ends.

        Reconnects after breaks and restarts. Raises NotFound, Internal if the server leaves a gap.
        """
        last = after_seq
        backoff = Backoff()

        def start() -> Any:
            request = pb.WatchJobRequest(job_id=self.job_id, after_seq=last)
            return self._calls.stream(lambda on: on.jobs.WatchJob, request)

        while True:
            async for message in messages(self._calls, "JobService.WatchJob", start):
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
            # The stream ended without the job's last event: the job ended at or before `after_seq`, or the
            # server shuts down.
            job = await self._job(patient=True)
            if job.state.is_terminal and job.version <= last:
                return
            await asyncio.sleep(backoff.next())

    @must_await("run.result")
    async def result(self, timeout: timedelta | float | None = None) -> R:
        """Wait for the end of the job and return the result of its function.

        After the first read of the job, the wait survives any number of broken connections and restarts.
        `timeout` (a timedelta or seconds; None: without limit) bounds this wait only: TimeoutError is raised,
        and the job continues. Call `result` again to wait further, or `cancel` to end the job.

        The result of a job without a worker is the Verdict on its question, also if that expired or was
        withdrawn; with `returns=Verdict[Plan]` its values are a Plan. Raises JobFailed, JobCancelled,
        NotFound, TimeoutError, InvalidTime for an invalid timeout, ValueError for a result that does not fit
        `returns`, TypeError for a job without a worker if `returns` is no Verdict, and PermissionDenied if
        you may see the job's head only (see JobInfo.head_only).
        """
        if timeout is None:
            return await self._result()
        shown = seconds(timeout, "timeout")
        limit = asyncio.timeout(shown)
        try:
            async with limit:
                return await self._result()
        except TimeoutError:
            if not limit.expired():
                raise
        raise TimeoutError(f"job {self.job_id} has no result after {shown:g} s; the job goes on")

    async def _result(self) -> R:
        job = await self.job()
        if not job.state.is_terminal:
            try:
                async for _ in self.watch(after_seq=job.version):
                    pass
                job = await self._job(patient=True)
            except NotFound:
                raise JobCancelled("the job was deleted", job_id=self.job_id) from None
        if job.state is JobState.FAILED:
            code, message, details = job.failure or ("", "the job failed", None)
            raise JobFailed(message or code, job_id=self.job_id, failure_code=code, details=details)
        if job.proto.workerless:
            return await self._verdict()
        if job.head_only and job.state is JobState.COMPLETED:
            raise PermissionDenied(
                "you may see this job's prompts, not its result, which needs the role client"
            )
        if job.state is JobState.CANCELLED:
            raise JobCancelled("the job was cancelled", job_id=self.job_id)
        if self._returns is Any:
            return job.result  # type: ignore[no-any-return]
        adapter: TypeAdapter[R] = TypeAdapter(self._returns)
        return validate(adapter, job.proto.result_json or "null")

    async def _verdict(self) -> R:
        """The verdict on the only question of a job without a worker."""
        expected = self._returns
        if expected is Any or expected is Verdict:
            form = None
        elif get_origin(expected) is Verdict:
            [values_type] = get_args(expected)
            form = None if values_type in (Any, None, type(None)) else form_of(values_type, "")
        else:
            raise TypeError(
                f"job {self.job_id} has no worker, so its result is a Verdict; expected was {expected!r}"
            )
        request = hitl.GetPromptRequest(job_id=self.job_id, key=ONLY_PROMPT)
        prompt = PromptInfo((await self._calls.unary(self._calls.hitl.GetPrompt, request)).prompt)
        if prompt.is_open:
            raise Internal(f"job {self.job_id} has ended, and its question is open")
        verdict: Any = verdict_of(prompt, values_of(prompt, form))
        return verdict  # type: ignore[no-any-return]
