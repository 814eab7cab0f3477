"""One run of a worker's function, from its start to the job's last word."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

from askback._model.json_text import loads_spelled
from askback._model.nonretryable import NonRetryable
from askback._worker.error_lines import log_failure
from askback._worker.handler import JobHandler, result_json
from askback._worker.job import Job
from askback._worker.lease import Lease, Stop
from askback.errors import (
    AlreadyExists,
    AskbackError,
    InvalidArgument,
    LeaseLost,
    MessageTooLarge,
    PromptEnded,
    QuestionChanged,
    Unavailable,
)
from askback.v1 import job_pb2
from askback.v1 import worker_service_pb2 as pb

_log = logging.getLogger("askback.worker")

_FINAL = (NonRetryable, PromptEnded, InvalidArgument, MessageTooLarge, AlreadyExists)
"""A run with the same input and the same answers would end alike."""
_MAX_MESSAGE = 10_000
_MAX_CODE = 128
_NOT_IN_A_CODE = re.compile(r"[^A-Za-z0-9_.\-/]")


async def run_job(lease: Lease, job: Job, handler: JobHandler[Any, Any]) -> None:
    """Run the function and tell the server how it ended. Nothing is told of a lost lease.

    An end that the server refuses is replaced by one that says why. Raises AskbackError if there is no server
    to tell, or it refuses every end. Cancelling it cancels the function and tells nothing.
    """
    lease.touch()
    work = asyncio.create_task(_call(lease, job, handler), name=f"askback {handler.job_type} {lease.job_id}")
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
    lease.reports.flush()
    try:
        await _say(lease, job, work)
    except LeaseLost:
        _log.info("job %s: the lease was lost before the end was told", lease.job_id)


async def _call(lease: Lease, job: Job, handler: JobHandler[Any, Any]) -> Any:
    given = lease.job.proto.input_json
    return await handler.function(job, **handler.bind(loads_spelled(given) if given else None))


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
        result = result_json(work.result())
    except Exception as wrong:  # whatever a value's own code raises while it is written
        why = f"the result cannot be written as JSON: {text_of(wrong)}"
        await _fail(lease, job, NonRetryable(why, code="InvalidResult"))
        return
    request = pb.CompleteJobRequest(job_id=job.job_id, token=job.token, result_json=result)
    try:
        await lease.send("complete_job", request)
    except (LeaseLost, Unavailable):
        raise
    except (InvalidArgument, MessageTooLarge) as refused:
        await _fail(lease, job, NonRetryable(f"the result was refused: {refused}", code="InvalidResult"))
    except AskbackError as refused:
        await _fail(lease, job, ResultRefused(f"the result was refused: {refused}"))


class ResultRefused(Exception):
    """The server did not take a result, and not because of what is in it."""


def _deciding(error: BaseException) -> BaseException:
    """Of the errors of a task group the one that says how the job ended: one that no retry would mend, else
    a changed question, else the first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [_deciding(inner) for inner in error.exceptions]
    changed = [leaf for leaf in leaves if isinstance(leaf, QuestionChanged)]
    final = [leaf for leaf in leaves if isinstance(leaf, (LeaseLost, *_FINAL)) and leaf not in changed]
    return next(iter((*final, *changed)), leaves[0])


def text_of(error: BaseException) -> str:
    """The message of an exception as text that the server can store, cut to its limit."""
    try:
        text = str(error)
    except Exception:
        text = "(the message of this error cannot be shown)"
    return text[:_MAX_MESSAGE].encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def code_of(error: BaseException) -> str:
    """The code that a failure has for an exception: letters, digits and `_.-/`, beginning with one of the
    first two."""
    code = (error.code if isinstance(error, NonRetryable) else "") or type(error).__name__
    return _NOT_IN_A_CODE.sub("_", code).lstrip("_.-/")[:_MAX_CODE] or "Failed"


async def _fail(lease: Lease, job: Job, raised: BaseException) -> None:
    error = _deciding(raised)
    if isinstance(error, LeaseLost):
        return
    if lease.stopped is not None and lease.stopped is not Stop.CANCEL:
        # It was stopped and stumbled on its way out: no failure of the job.
        await lease.release()
        return
    changed = isinstance(error, QuestionChanged)
    retryable = changed or not isinstance(error, _FINAL)
    code, message = code_of(error), text_of(error)
    # A failure that was meant needs no traceback.
    trace = retryable and not changed
    log_failure(f"{job.job_id} ({job.job_type})", f"{code}: {message}", error, raised, trace=trace)
    request = pb.FailJobRequest(
        job_id=job.job_id,
        token=job.token,
        failure=job_pb2.Failure(code=code, message=message),
        retryable=retryable,
        keep_attempt=changed,
    )
    try:
        await lease.send("fail_job", request)
    except (LeaseLost, Unavailable):
        raise
    except AskbackError as refused:
        _log.error("job %s: its failure was refused, so it is released: %s", job.job_id, refused)
        await lease.release()
