"""Runs a job function once, and reports how it ended."""

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
"""Errors that every attempt would repeat with the same input and the same answers."""
_MAX_MESSAGE_CHARS = 10_000
_MAX_CODE_CHARS = 128
_NOT_IN_A_CODE = re.compile(r"[^A-Za-z0-9_.\-/]")


async def run_job(lease: Lease, job: Job, handler: JobHandler[Any, Any]) -> None:
    """Run the function and report its end to the server, unless the lease is lost.

    If the server refuses the report, report that as a failure. Raises AskbackError if the server cannot be
    reached or refuses every report. Cancelling this cancels the function and reports nothing.
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
        await _report(lease, job, work)
    except LeaseLost:
        _log.info("job %s: the lease was lost before its end was reported", lease.job_id)


async def _call(lease: Lease, job: Job, handler: JobHandler[Any, Any]) -> Any:
    given = lease.job.proto.input_json
    return await handler.function(job, **handler.bind(loads_spelled(given) if given else None))


async def _report(lease: Lease, job: Job, work: asyncio.Task[Any]) -> None:
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
    except Exception as wrong:  # a value's own serialisation code may raise anything
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
    """The server refused a result for a reason other than its content."""


def _deciding(error: BaseException) -> BaseException:
    """The error of a task group that decides how the job ended: a final error, else a changed question, else
    the first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [_deciding(inner) for inner in error.exceptions]
    changed = [leaf for leaf in leaves if isinstance(leaf, QuestionChanged)]
    final = [leaf for leaf in leaves if isinstance(leaf, (LeaseLost, *_FINAL)) and leaf not in changed]
    return next(iter((*final, *changed)), leaves[0])


def text_of(error: BaseException) -> str:
    """The message of an exception as text that the server can store, cut to the server's limit."""
    try:
        text = str(error)
    except Exception:
        text = "(the message of this error cannot be shown)"
    return text[:_MAX_MESSAGE_CHARS].encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def code_of(error: BaseException) -> str:
    """The failure code for an exception: letters, digits and `_.-/`, beginning with a letter or digit."""
    code = (error.code if isinstance(error, NonRetryable) else "") or type(error).__name__
    return _NOT_IN_A_CODE.sub("_", code).lstrip("_.-/")[:_MAX_CODE_CHARS] or "Failed"


async def _fail(lease: Lease, job: Job, raised: BaseException) -> None:
    error = _deciding(raised)
    if isinstance(error, LeaseLost):
        return
    if lease.stopped is not None and lease.stopped is not Stop.CANCEL:
        # The function was cancelled and raised during its cleanup: no failure of the job.
        await lease.release()
        return
    changed = isinstance(error, QuestionChanged)
    retryable = changed or not isinstance(error, _FINAL)
    code, message = code_of(error), text_of(error)
    # An intended failure needs no traceback.
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
