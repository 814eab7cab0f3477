"""What a worker's function gets: its job, and the people it can ask."""

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

    The function may be run again from the top: after a crash, a lost lease, or a park. So every
    question has a `key` (the stored answer comes back at once), and every effect that must not be
    repeated belongs into a `step`. While a job only waits for people for long, its coroutine is
    dropped; work beside a waiting question that is not in a `step` may be dropped with it.

    Every method may raise LeaseLost; the function is cancelled then.
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
        """The id of the first job of the chain of retries, the job's own if it repeats none.

        It is the same in every attempt and in every retry (but one that repeats a COMPLETED job and keeps
        nothing): the idempotency key for effects in other systems.
        """
        return self._lease.job.root_job_id

    @property
    def job_type(self) -> str:
        """The job's type."""
        return self._lease.job.job_type

    @property
    def input(self) -> Any:
        """The whole input, parsed."""
        return self._lease.job.input

    @property
    def labels(self) -> dict[str, str]:
        """The creator's marks."""
        return self._lease.job.labels

    @property
    def token(self) -> int:
        """The fencing token: send it along to systems that can refuse an older one."""
        return self._lease.token

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 1."""
        return self._lease.job.attempt

    @property
    def cancel_reason(self) -> str | None:
        """Why the job is being cancelled; None if it is not."""
        return self._lease.cancel_reason

    @property
    def late_answers(self) -> Sequence[PromptInfo]:
        """Prompts that were answered after they were closed. Late answers change nothing."""
        return self._lease.late

    @must_await("job.progress")
    async def progress(
        self, done: int = 0, total: int = 0, message: str = "", *, milestone: bool = False
    ) -> None:
        """Say how far the job is; `total` is 0 if it is not known. Reports are coalesced, newest first; a
        milestone is kept and awaited. Raises InvalidValue for numbers below 0, and for more than `total`."""
        request = pb.ReportProgressRequest(
            job_id=self.job_id,
            token=self.token,
            progress=progress_of(done, total, message),
            milestone=milestone,
        )
        if milestone:
            await self._lease.send("report_progress", request)
        else:
            self._lease.progress(request)

    @overload
    async def step(self, key: str, fn: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def step(self, key: str, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...
    @must_await("job.step")
    async def step(self, key: str, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call `fn` once in the job's life and return its result, now and in every later run.

        The result is stored as JSON and comes back as the type that `fn` is annotated with (as plain
        JSON values if it is not), in the first run too. A crash between the call and the commit calls
        `fn` again. Raises what `fn` raises: nothing is stored then, and the step may be called again under
        its key. Raises DuplicateKey for a key that this run has used; InvalidStep, before the call, for
        what is not callable or has an annotation that no JSON value can fit, and after it for a result
        that JSON cannot hold or that does not fit the annotation.
        """
        returns = StepResult(key, fn)

        async def compute() -> str:
            value = fn(*args, **kwargs)
            if inspect.isawaitable(value):
                value = await value
            return returns.dump(value)

        # A result that does not fit is stored all the same: what was done is not done again.
        return returns.parse(await self._lease.once(key, compute))

    @must_await("job.understanding")
    async def understanding(self) -> Understanding:
        """The job's deep-understanding state; change it with `update_understanding`."""
        self._lease.touch()
        return await self._understandings.get(self.job_id)

    @must_await("job.update_understanding")
    async def update_understanding(self, *, expected_version: int = 0, **fields: Any) -> Understanding:
        """Change fields of the deep-understanding state and return it.

        Fields: `questions_asked`, `answers`, `research_performed` (lists), `summary`, `user_problem`,
        `readiness_score` (0 to 1), `complete`. Raises Aborted if it has another version than
        `expected_version` (0: any), TypeError for an unknown field.
        """
        self._lease.touch()
        return await self._understandings.update(
            self.job_id, fields, expected_version=expected_version, token=self.token
        )
