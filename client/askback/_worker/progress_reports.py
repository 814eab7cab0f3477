"""Progress reports of a job: an unsent report is replaced by a newer one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from askback._model.nonretryable import InvalidValue
from askback.errors import LeaseLost
from askback.v1 import job_pb2
from askback.v1 import worker_service_pb2 as pb


def progress_of(done: int, total: int, message: str) -> job_pb2.Progress:
    """Build the contract's message. Raises InvalidValue for negative numbers and for `done` above `total`."""
    if done < 0 or total < 0:
        raise InvalidValue(f"progress({done}, {total}): neither number may be below 0")
    if 0 < total < done:
        raise InvalidValue(
            f"progress({done}, {total}): {done} of {total} cannot be done; leave total out if it is not known"
        )
    return job_pb2.Progress(done=done, total=total, message=message)


class Sender(Protocol):
    """The worker's stream."""

    def submit(self, frame: Any) -> asyncio.Future[Any]:
        """Send a frame and return the future of its reply."""


class ProgressReports:
    """Sends one report at a time. Calls `lost` if the server refuses one because the lease is lost."""

    def __init__(self, sender: Sender, lost: Callable[[], None]) -> None:
        self._sender = sender
        self._lost = lost
        self._sent: asyncio.Future[Any] | None = None
        self._next: pb.ReportProgressRequest | None = None

    def send(self, request: pb.ReportProgressRequest) -> None:
        """Send the report, or keep it, replacing an older waiting one, while another is in flight."""
        if self._sent is not None and not self._sent.done():
            self._next = request
            return
        self._sent = self._sender.submit(pb.WorkClientFrame(report_progress=request))
        self._sent.add_done_callback(self._on_reply)

    def _on_reply(self, future: asyncio.Future[Any]) -> None:
        if not future.cancelled() and isinstance(future.exception(), LeaseLost):
            self._next = None
            self._lost()
        request, self._next = self._next, None
        if request is not None:
            self.send(request)

    def drop_waiting(self) -> None:
        """Forget the waiting report, because a newer one is sent otherwise."""
        self._next = None

    def flush(self) -> None:
        """Send the waiting report, before the job's end is reported."""
        request, self._next = self._next, None
        if request is not None:
            sent = self._sender.submit(pb.WorkClientFrame(report_progress=request))
            sent.add_done_callback(lambda done: done.cancelled() or done.exception())
