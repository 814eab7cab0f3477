"""The methods of the client that start, follow and change jobs."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack, overload

from google.protobuf.field_mask_pb2 import FieldMask

from askback._client.job_filter import LabelConditions, job_filter
from askback._client.run import Run
from askback._client.unawaited import must_await
from askback._client.understandings import Understandings
from askback._model.content import Deadline
from askback._model.enums import JobState, Keep
from askback._model.jobs import JobChange, JobInfo
from askback._model.json_text import dumps
from askback._model.prompts import PromptInfo
from askback._model.times import duration, timestamp
from askback._model.understanding import Understanding
from askback._wire.backoff import Backoff
from askback._wire.calls import Calls
from askback._wire.following import messages
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as pb

if TYPE_CHECKING:
    from typing_extensions import TypeForm as FormType

T = TypeVar("T")


class StartOptions(TypedDict, total=False):
    """The options of a job besides its input; see Client.start."""

    request_id: str | None
    labels: Mapping[str, str] | None
    priority: int
    max_attempts: int
    retention: timedelta | float | None
    user_id: str
    delay: Deadline | None
    timeout: timedelta | float | None
    run_timeout: timedelta | float | None


class JobCalls:
    """JobService with Python values. See Client for the errors that any method may raise."""

    def __init__(self, calls: Calls, namespace: str) -> None:
        self._calls = calls
        self.namespace = namespace

    @overload
    async def start(self, job_type: str, input: Any = None, **options: Unpack[StartOptions]) -> Run[Any]: ...
    @overload
    async def start(
        self, job_type: str, input: Any = None, *, returns: FormType[T], **options: Unpack[StartOptions]
    ) -> Run[T]: ...
    @must_await("client.start")
    async def start(
        self,
        job_type: str,
        input: Any = None,
        *,
        returns: Any = Any,
        request_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        priority: int = 0,
        max_attempts: int = 0,
        retention: timedelta | float | None = None,
        user_id: str = "",
        delay: Deadline | None = None,
        timeout: timedelta | float | None = None,
        run_timeout: timedelta | float | None = None,
    ) -> Run[Any]:
        """Create a job with any JSON input, and return its handle.

        The result is converted to the type `returns`; without it, it consists of plain JSON values. A
        `request_id` is generated if not given, so that the call can be retried; give your own to create the
        job only once across restarts of your program. The job starts after `delay` (a duration, or a
        datetime with a time zone; a past one means at once). `timeout` bounds the whole job, waiting for
        people and all attempts included; it then fails with DEADLINE_EXCEEDED. `run_timeout` bounds each
        attempt, waiting for people not included; the attempt then fails with RUN_TIMEOUT. Raises
        InvalidArgument, InvalidTime, AlreadyExists for a `request_id` that was used with other content,
        ResourceExhausted.
        """
        request = self._create(job_type, request_id, labels, priority, max_attempts, retention, user_id)
        if isinstance(delay, datetime):
            request.start_time.CopyFrom(timestamp(delay, "delay"))
        elif delay is not None:
            request.start_delay.CopyFrom(duration(delay, "delay"))
        if timeout is not None:
            request.timeout.CopyFrom(duration(timeout, "timeout"))
        if run_timeout is not None:
            request.run_timeout.CopyFrom(duration(run_timeout, "run_timeout"))
        if input is not None:
            request.input_json = dumps(input)
        return await self._create_run(request, returns)

    @overload
    def run(self, job_id: str) -> Run[Any]: ...
    @overload
    def run(self, job_id: str, *, returns: FormType[T]) -> Run[T]: ...
    def run(self, job_id: str, *, returns: Any = Any) -> Run[Any]:
        """The handle of an existing job; its result is converted to the type `returns`.

        The result of a job without a worker is a Verdict, with plain values unless `returns` is
        `Verdict[TYPE]`.
        """
        return self._handle(job_id, None, returns)

    async def get(self, job_id: str, *, strong: bool = True) -> JobInfo:
        """Read a job; without `strong` from a replica's memory, which may be out of date. Raises NotFound."""
        consistency = pb.CONSISTENCY_STRONG if strong else pb.CONSISTENCY_UNSPECIFIED
        request = pb.GetJobRequest(job_id=job_id, consistency=consistency)
        return JobInfo((await self._calls.unary(self._calls.jobs.GetJob, request)).job)

    async def list(
        self,
        *,
        states: Iterable[JobState | str] = (),
        job_types: Iterable[str] = (),
        user_ids: Iterable[str] = (),
        labels: LabelConditions | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        id_suffix: str = "",
        page_size: int = 0,
    ) -> AsyncIterator[JobInfo]:
        """Yield the jobs that match, newest first; pages are read as they are needed.

        `labels` has a value by name, or several alternatives. `created_after` and `created_before` have a
        time zone; `id_suffix` is the last 6 to 36 characters of the id. Raises InvalidTime, InvalidArgument.
        """
        request = pb.ListJobsRequest(
            namespace=self.namespace,
            filter=job_filter(states, job_types, user_ids, labels, created_after, created_before, id_suffix),
            page_size=page_size,
        )
        while True:
            page = await self._calls.unary(self._calls.jobs.ListJobs, request)
            for job in page.jobs:
                yield JobInfo(job)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def count(
        self,
        *,
        states: Iterable[JobState | str] = (),
        job_types: Iterable[str] = (),
        user_ids: Iterable[str] = (),
        labels: LabelConditions | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> int:
        """The number of jobs that match; arguments and errors are those of `list`."""
        request = pb.ListJobsRequest(
            namespace=self.namespace,
            filter=job_filter(states, job_types, user_ids, labels, created_after, created_before),
            page_size=1,
            count=True,
        )
        return (await self._calls.unary(self._calls.jobs.ListJobs, request)).total_size

    async def cancel(self, job_id: str, reason: str = "") -> JobInfo:
        """Cancel a job. The worker of a running job is notified and has 30 s to stop. Raises NotFound,
        FailedPrecondition."""
        request = pb.CancelJobRequest(job_id=job_id, reason=reason)
        return JobInfo((await self._calls.unary(self._calls.jobs.CancelJob, request)).job)

    @must_await("client.retry")
    async def retry(
        self, job_id: str, *, keep: Keep | str | None = None, request_id: str | None = None
    ) -> Run[Any]:
        """Start a new job that repeats a finished one, and return its handle.

        `keep` ALL keeps its checkpoints and the answers with ACCEPT, EDIT or RESPOND: the same question
        under the same key is answered at once. NOTHING starts from scratch. None means ALL for a FAILED job
        and NOTHING for a COMPLETED or CANCELLED one. Raises NotFound, FailedPrecondition if the job has not
        ended, AlreadyExists for a `request_id` that was used with another job or `keep`, ValueError for an
        unknown `keep`.
        """
        request = pb.RetryJobRequest(job_id=job_id, request_id=request_id or uuid.uuid4().hex)
        if keep is not None:
            request.keep = pb.RetryKeep.Value(f"RETRY_KEEP_{Keep(keep)}")
        reply = await self._calls.unary(self._calls.jobs.RetryJob, request)
        return self.run(reply.job.job_id)

    async def delete(self, job_id: str) -> None:
        """Delete a finished job with its prompts. Raises NotFound, FailedPrecondition."""
        request = pb.DeleteJobRequest(job_id=job_id)
        await self._calls.unary(self._calls.jobs.DeleteJob, request, idempotent=False)

    async def update(
        self,
        job_id: str,
        *,
        labels: Mapping[str, str] | None = None,
        priority: int | None = None,
        promoted: bool | None = None,
        retention: timedelta | float | None = None,
        expected_version: int = 0,
    ) -> JobInfo:
        """Change the given fields; `labels` replaces all. Raises NotFound, InvalidArgument, Aborted."""
        job = job_pb2.Job(job_id=job_id)
        paths: list[str] = []
        if labels is not None:
            job.labels.update(labels)
            paths.append("labels")
        if priority is not None:
            job.priority = priority
            paths.append("priority")
        if promoted is not None:
            job.promoted = promoted
            paths.append("promoted")
        if retention is not None:
            job.retention.CopyFrom(duration(retention, "retention"))
            paths.append("retention")
        request = pb.UpdateJobRequest(
            job=job, update_mask=FieldMask(paths=paths), expected_version=expected_version
        )
        reply = await self._calls.unary(self._calls.jobs.UpdateJob, request, idempotent=not expected_version)
        return JobInfo(reply.job)

    async def watch_all(
        self,
        *,
        states: Iterable[JobState | str] = (),
        job_types: Iterable[str] = (),
        user_ids: Iterable[str] = (),
        labels: LabelConditions | None = None,
    ) -> AsyncIterator[JobChange]:
        """Yield the jobs that match, then every change, without end; reconnects after a break.

        It carries state, not history: a slow reader gets fewer, fresher states. `states` narrows the first
        snapshot only. Raises InvalidArgument.
        """
        token = ""
        filter = job_filter(states, job_types, user_ids, labels, None, None)

        def start() -> Any:
            request = pb.WatchJobsRequest(namespace=self.namespace, filter=filter, resume_token=token)
            return self._calls.stream(lambda on: on.jobs.WatchJobs, request)

        backoff = Backoff()
        while True:
            async for message in messages(self._calls, "JobService.WatchJobs", start):
                backoff.reset()
                if message.reset:
                    yield JobChange("reset")
                for job in message.jobs:
                    yield JobChange("changed", job.job_id, JobInfo(job))
                for job_id in message.removed_job_ids:
                    yield JobChange("removed", job_id)
                if message.caught_up:
                    yield JobChange("caught_up")
                token = message.resume_token or token
            await asyncio.sleep(backoff.next())

    async def understanding(self, job_id: str) -> Understanding:
        """The deep-understanding state of a job; version 0 if none was written. Raises NotFound."""
        return await Understandings(self._calls).get(job_id)

    async def update_understanding(
        self, job_id: str, *, expected_version: int = 0, **fields: Any
    ) -> Understanding:
        """Change the named fields (those of Understanding). Raises NotFound, Aborted, TypeError."""
        return await Understandings(self._calls).update(job_id, fields, expected_version=expected_version)

    def _create(
        self,
        job_type: str,
        request_id: str | None,
        labels: Mapping[str, str] | None,
        priority: int,
        max_attempts: int,
        retention: timedelta | float | None,
        user_id: str,
    ) -> pb.CreateJobRequest:
        request = pb.CreateJobRequest(
            namespace=self.namespace,
            request_id=request_id or uuid.uuid4().hex,
            job_type=job_type,
            user_id=user_id,
            priority=priority,
            labels=dict(labels or {}),
            max_attempts=max_attempts,
        )
        if retention is not None:
            request.retention.CopyFrom(duration(retention, "retention"))
        return request

    async def _create_run(self, request: pb.CreateJobRequest, returns: Any = Any) -> Run[Any]:
        reply = await self._calls.unary(self._calls.jobs.CreateJob, request)
        prompt = PromptInfo(reply.prompt) if reply.HasField("prompt") else None
        return self._handle(reply.job.job_id, prompt, returns)

    def _handle(self, job_id: str, prompt: PromptInfo | None, returns: Any) -> Run[Any]:
        return Run(job_id, self._calls, prompt=prompt, returns=returns)
