"""The job that a job function receives as its first argument."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from askback._client.unawaited import must_await
from askback._model.prompts import PromptInfo
from askback._worker.lease import Lease
from askback._worker.progress_reports import progress_of
from askback._worker.questions import JobQuestions
from askback._worker.step_result import StepResult
from askback.v1 import worker_service_pb2 as pb

if TYPE_CHECKING:
    from askback._client.understandings import Understandings
    from askback._model.understanding import Understanding

T = TypeVar("T")
P = ParamSpec("P")


class Job(JobQuestions):
    """A job under a lease.

    The function may be run again from the top: after a crash, a lost lease, or parking. So every question
    has a `key` (a stored answer is returned at once), and every effect that must not be repeated belongs
    into a `step`. A job that only waits for people for a long time is parked: its coroutine is cancelled,
    and with it any concurrent work that is not in a `step`.

    Every method may raise LeaseLost; the function is then cancelled.
    """

    def __init__(self, lease: Lease, understandings: Understandings) -> None:
        super().__init__(lease)
        self._understandings = understandings

    @property
    def job_id(self) -> str:
        """The server's id."""
        return self._lease.job_id

    @property
    def root_job_id(self) -> str:
        """The id of the first job of the chain of retries; the job's own id if it is not a retry.

        It is the same in every attempt and in every retry (except a retry of a COMPLETED job that keeps
        nothing), so use it as the idempotency key for effects in other systems.
        """
        return self._lease.job.root_job_id

    @property
    def job_type(self) -> str:
        """The job's type."""
        return self._lease.job.job_type

    @property
    def input(self) -> Any:
        """The complete input, parsed."""
        return self._lease.job.input

    @property
    def labels(self) -> dict[str, str]:
        """The labels that the creator set."""
        return self._lease.job.labels

    @property
    def token(self) -> int:
        """The fencing token: send it to systems that can reject an older one."""
        return self._lease.token

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self._lease.job.attempt

    @property
    def cancel_reason(self) -> str | None:
        """The reason of the cancellation; None if the job is not being cancelled."""
        return self._lease.cancel_reason

    @property
    def late_answers(self) -> Sequence[PromptInfo]:
        """Prompts that were answered after they were closed. Late answers have no effect."""
        return self._lease.late

    @must_await("job.progress")
    async def progress(
        self, done: int = 0, total: int = 0, message: str = "", *, milestone: bool = False
    ) -> None:
        """Report the progress; `total` is 0 if it is not known. Unsent reports are replaced by newer ones; a
        milestone is always sent and awaited. Raises InvalidValue for negative numbers, and for `done` above
        `total`."""
        request = pb.ReportProgressRequest(
            job_id=self.job_id,
            token=self.token,
            progress=progress_of(done, total, message),
            milestone=milestone,
        )
        if milestone:
            self._lease.reports.drop_waiting()  # it would arrive after the milestone, and is older
            await self._lease.send("report_progress", request)
        else:
            self._lease.progress(request)

    @overload
    async def step(self, key: str, fn: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def step(self, key: str, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...
    @must_await("job.step")
    async def step(self, key: str, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call `fn` once in the job's life and return its result, in this run and in every later one.

        The result is stored as JSON and converted to the result type in the annotations of `fn` (plain JSON
        values without one), in the first run too. After a crash between the call and the commit `fn` is
        called again. Raises what `fn` raises: then nothing is stored, and the step may be called again under
        its key. Raises DuplicateKey for a key that this run has used; InvalidStep, before the call, if `fn`
        is not callable or has a result type that no JSON value can fit, and after the call for a result that
        JSON cannot hold or that does not fit the annotation.
        """
        returns = StepResult(key, fn)

        async def compute() -> str:
            value = fn(*args, **kwargs)
            if inspect.isawaitable(value):
                value = await value
            return returns.dump(value)

        # Store a result even if it does not fit the annotation, so that its effect is not repeated.
        return returns.parse(await self._lease.once(key, compute))

    @must_await("job.understanding")
    async def understanding(self) -> Understanding:
        """Read the job's deep-understanding state; `update_understanding` changes it."""
        self._lease.touch()
        return await self._understandings.get(self.job_id)

    @must_await("job.update_understanding")
    async def update_understanding(self, *, expected_version: int = 0, **fields: Any) -> Understanding:
        """Change fields of the deep-understanding state, and return it.

        Fields: `questions_asked`, `answers`, `research_performed` (lists), `summary`, `user_problem`,
        `readiness_score` (0 to 1), `complete`. Raises Aborted if the state has another version than
        `expected_version` (0: any), TypeError for an unknown field.
        """
        self._lease.touch()
        return await self._understandings.update(
            self.job_id, fields, expected_version=expected_version, token=self.token
        )
