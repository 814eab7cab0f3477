"""The handle of a job for programs without an event loop."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, NoReturn

from askback._client import run as aio
from askback._model.prompts import PromptInfo
from askback.sync.twin import Twin, blocking, iterating

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # A plain `Run` is a Run[Any].
    R = TypeVar("R", default=Any)
else:
    from typing import TypeVar

    R = TypeVar("R")


class Run(Twin, Generic[R]):
    """A handle of one job, as askback.Run, with blocking methods. It may be used in any thread.

    A Run has no truth value: `bool(run)` raises TypeError, because a job is not an answer.
    """

    _twin: aio.Run[R]

    def __repr__(self) -> str:
        return repr(self._twin)

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self!r} is a job and not its result: write `run.result()`")

    @property
    def job_id(self) -> str:
        """The server's id."""
        return self._twin.job_id

    @property
    def prompt(self) -> PromptInfo | None:
        """The prompt of a job without a worker, as it was when it was asked."""
        return self._twin.prompt

    job = blocking(aio.Run.job)
    cancel = blocking(aio.Run.cancel)
    watch = iterating(aio.Run.watch)

    def result(self, timeout: timedelta | float | None = None) -> R:
        """Wait for the end of the job and return its result, as askback.Run.result.

        `timeout` (a timedelta or seconds; None: without limit) bounds this wait only: TimeoutError is raised,
        and the job continues, as it does after Ctrl-C.
        """
        return self._wait(self._twin.result(timeout))
