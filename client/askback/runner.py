"""One run of a worker's function, from its start to the job's last word."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from askback.errors import (
    AlreadyExists,
    InvalidArgument,
    LeaseLost,
    NonRetryable,
    PromptEnded,
    QuestionChanged,
)
from askback.handler import JobHandler, encoded
from askback.job import Job
from askback.lease import Lease, Stop
from askback.v1 import job_pb2
from askback.v1 import worker_service_pb2 as pb

_log = logging.getLogger("askback.worker")

_FINAL = (NonRetryable, PromptEnded, InvalidArgument, AlreadyExists)
"""A run with the same input and the same answers would end alike."""
_MAX_MESSAGE = 10_000


async def run_job(lease: Lease, job: Job, handler: JobHandler[Any, Any]) -> None:
    """Run the function and tell the server how it ended; a lost lease is told to nobody.

    Raises AskbackError if the last word cannot be said. Cancelling it cancels the function and says
    nothing.
    """
    lease.touch()
    work = asyncio.create_task(_call(job, handler), name=f"askback {handler.job_type} {lease.job_id}")
    lease.work = work
    if lease.stopped is not None:
        work.cancel()
    try:
        await asyncio.wait((work,))
    except asyncio.CancelledError:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        raise
    if lease.stopped is Stop.LOST:
        if not work.cancelled() and (error := work.exception()) is not None:
            _log.debug("job %s: after its lease was lost: %r", lease.job_id, error)
        return
    lease.flush_progress()
    try:
        await _say(lease, job, work)
    except LeaseLost:
        _log.info("job %s: the lease was lost before the end was told", lease.job_id)


async def _call(job: Job, handler: JobHandler[Any, Any]) -> Any:
    return await handler.function(job, **handler.bind(job.input))


async def _say(lease: Lease, job: Job, work: asyncio.Task[Any]) -> None:
    if work.cancelled():
        if lease.stopped is not None:
            await lease.release()
            return
        await _fail(lease, job, RuntimeError("the function cancelled itself"))
        return
    error = work.exception()
    if error is not None:
        await _fail(lease, job, error)
        return
    try:
        result = encoded(work.result())
        request = pb.CompleteJobRequest(job_id=job.job_id, token=job.token, result_json=result)
        await lease.send("complete_job", request)
    except (ValueError, InvalidArgument) as refused:
        await _fail(lease, job, NonRetryable(f"the result was refused: {refused}", code="InvalidResult"))


def _deciding(error: BaseException) -> BaseException:
    """Of the errors of a task group the one that says how the job ended: one that no retry would mend, else
    a changed question, else the first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [_deciding(inner) for inner in error.exceptions]
    changed = [leaf for leaf in leaves if isinstance(leaf, QuestionChanged)]
    final = [leaf for leaf in leaves if isinstance(leaf, (LeaseLost, *_FINAL)) and leaf not in changed]
    return next(iter((*final, *changed)), leaves[0])


async def _fail(lease: Lease, job: Job, error: BaseException) -> None:
    error = _deciding(error)
    if isinstance(error, LeaseLost):
        return
    if lease.stopped is not None and lease.stopped is not Stop.CANCEL:
        # It was stopped and stumbled on its way out: no failure of the job.
        await lease.release()
        return
    code = (error.code if isinstance(error, NonRetryable) else "") or type(error).__name__
    changed = isinstance(error, QuestionChanged)
    retryable = changed or not isinstance(error, _FINAL)
    # A failure that was meant needs no traceback.
    trace = error if retryable and not changed else None
    _log.warning("job %s (%s) failed: %s: %s", job.job_id, job.job_type, code, error, exc_info=trace)
    failure = job_pb2.Failure(code=code, message=str(error)[:_MAX_MESSAGE])
    request = pb.FailJobRequest(
        job_id=job.job_id, token=job.token, failure=failure, retryable=retryable, keep_attempt=changed
    )
    await lease.send("fail_job", request)
