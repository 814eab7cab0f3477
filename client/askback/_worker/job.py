"""What a worker's function gets: its job, and the people it can ask."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload

from pydantic_core import to_json

from askback._client.unawaited import must_await
from askback._client.verdict import GIVING_VALUES, Verdict, refusal, require_answer, verdict_of
from askback._model.content import UNSET, Asked, Contents, Default, Shown, Unset, parts_of, prompt_content
from askback._model.enums import DecisionKind, PromptState
from askback._model.form import Form, form_of
from askback._model.prompts import Content, PromptInfo
from askback._worker.asking import Fitting, ask_until_it_fits
from askback._worker.lease import Lease
from askback._worker.progress_reports import progress_of
from askback._worker.step_result import StepResult
from askback.v1 import prompt_pb2
from askback.v1 import worker_service_pb2 as pb

if TYPE_CHECKING:
    from typing_extensions import TypeForm as FormType

    from askback._client.understandings import Understandings
    from askback._model.understanding import Understanding

T = TypeVar("T")
P = ParamSpec("P")
Options = dict[str, Any]
Fields = Mapping[str, Any] | Sequence[prompt_pb2.Question]
"""A form that is no Python type: a JSON Schema, or the contract's questions. The values are a dict."""
_RESPONDING = frozenset({"confirm", "preview", "validate", "structure_fix"})


class Job:
    """A job under a lease.

    The function may be run again from the top: after a crash, a lost lease, or a park. So every
    question has a `key` (the stored answer comes back at once), and every effect that must not be
    repeated belongs into a `step`. While a job only waits for people for long, its coroutine is
    dropped; work beside a waiting question that is not in a `step` may be dropped with it.

    Every method may raise LeaseLost; the function is cancelled then.
    """

    def __init__(self, lease: Lease, understandings: Understandings) -> None:
        self._lease = lease
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

    @overload
    async def ask(
        self, title: str, *, key: str, default: str | Unset = ..., **asked: Unpack[Asked]
    ) -> str: ...
    @overload
    async def ask(
        self, title: str, form: FormType[T], *, key: str, default: None, **asked: Unpack[Asked]
    ) -> T | None: ...
    @overload
    async def ask(
        self, title: str, form: FormType[T], *, key: str, default: T | Unset = ..., **asked: Unpack[Asked]
    ) -> T: ...
    @overload
    async def ask(
        self, title: str, form: Fields, *, key: str, default: Any = ..., **asked: Unpack[Asked]
    ) -> dict[str, Any]: ...
    @must_await("job.ask")
    async def ask(
        self, title: str, form: Any = str, *, key: str, default: Any = UNSET, **asked: Unpack[Asked]
    ) -> Any:
        """Ask for a value of a type (model, dataclass, enum, list, number, text …) and return it.

        `form` may also be a JSON Schema of type object or a list of the contract's questions; the
        answer is a dict then. `to` names `user:NAME` and `group:NAME`. With `deadline`, `default` is
        the answer when nobody gives one (None stays None and is not shown to people).

        An answer that a validator of the type refuses is asked for again, with the reason and the values
        filled in, under the keys `KEY#2` and `KEY#3`.

        Raises PromptExpired when nobody answered in time and there is no default, PromptDeclined when
        a person said no, PromptCancelled when the prompt was withdrawn, InvalidAnswer (the job fails for
        good) when a third answer was refused, QuestionChanged when the key has an answer that was given to
        another wording (`same=True` keeps that answer), DuplicateKey when this run has used the key,
        InvalidKey, InvalidArgument with the server's violations, InvalidValue for a default that does not fit
        the type, TypeError for a type that has no form, ValueError for arguments that contradict each other.
        """
        shape = form_of(form, title)
        declared = None
        if default is not UNSET and default is not None:
            kind = asked.get("kind", "clarify")
            decision = DecisionKind.ACCEPT if kind in _RESPONDING else DecisionKind.RESPOND
            declared = Default(decision, shape.dump(default))
        fitting = await self._ask(title, key, shape, declared, {"kind": "clarify", **asked})
        if fitting.prompt.state is PromptState.EXPIRED and default is None:
            return None
        require_answer(fitting.prompt)
        answer = fitting.prompt.answered
        if answer is None or answer.decision not in GIVING_VALUES:
            raise refusal(fitting.prompt)
        return fitting.values

    @overload
    async def confirm(
        self,
        title: str,
        *,
        key: str,
        form: None = ...,
        default: bool | DecisionKind | None = ...,
        **asked: Unpack[Asked],
    ) -> Verdict[None]: ...
    @overload
    async def confirm(
        self,
        title: str,
        *,
        key: str,
        form: FormType[T],
        default: bool | DecisionKind | None = ...,
        **asked: Unpack[Asked],
    ) -> Verdict[T]: ...
    @overload
    async def confirm(
        self,
        title: str,
        *,
        key: str,
        form: Fields,
        default: bool | DecisionKind | None = ...,
        **asked: Unpack[Asked],
    ) -> Verdict[dict[str, Any]]: ...
    @must_await("job.confirm")
    async def confirm(
        self,
        title: str,
        *,
        key: str,
        form: Any = None,
        default: bool | DecisionKind | None = None,
        **asked: Unpack[Asked],
    ) -> Verdict[Any]:
        """Ask for a yes. The verdict is true only for a yes; `comment`, `by` and `at` say more.

        `form` asks for values along with it; they are `verdict.values`. `default` is the decision when the
        deadline passes: `verdict.by_default` says so. Arguments and errors are those of `ask`, but a no is
        a result and no PromptDeclined.
        """
        return await self._decide("confirm", title, key, form, default, {**asked})

    @overload
    async def validate(
        self,
        title: str,
        *,
        key: str,
        report: str | Any = ...,
        form: None = ...,
        default: bool | DecisionKind | None = ...,
        **asked: Unpack[Asked],
    ) -> Verdict[None]: ...
    @overload
    async def validate(
        self,
        title: str,
        *,
        key: str,
        report: str | Any = ...,
        form: FormType[T],
        default: bool | DecisionKind | None = ...,
        **asked: Unpack[Asked],
    ) -> Verdict[T]: ...
    @overload
    async def validate(
        self,
        title: str,
        *,
        key: str,
        report: str | Any = ...,
        form: Fields,
        default: bool | DecisionKind | None = ...,
        **asked: Unpack[Asked],
    ) -> Verdict[dict[str, Any]]: ...
    @must_await("job.validate")
    async def validate(
        self,
        title: str,
        *,
        key: str,
        report: str | Any = "",
        form: Any = None,
        default: bool | DecisionKind | None = None,
        **asked: Unpack[Asked],
    ) -> Verdict[Any]:
        """Have a report approved: Markdown text, or anything that JSON can hold. Otherwise as `confirm`."""
        if report:
            text = report if isinstance(report, str) else to_json(report, indent=2).decode()
            media_type = "text/markdown" if isinstance(report, str) else "application/json"
            part = Content("report", text, "Report", media_type)
            asked["contents"] = [part, *parts_of(asked.get("contents", ()))]
        return await self._decide("validate", title, key, form, default, {**asked})

    @overload
    async def preview(
        self,
        title: str,
        *,
        key: str,
        contents: Contents,
        form: None = ...,
        default: bool | DecisionKind | None = ...,
        **asked: Unpack[Shown],
    ) -> Verdict[None]: ...
    @overload
    async def preview(
        self,
        title: str,
        *,
        key: str,
        contents: Contents,
        form: FormType[T],
        default: bool | DecisionKind | None = ...,
        **asked: Unpack[Shown],
    ) -> Verdict[T]: ...
    @overload
    async def preview(
        self,
        title: str,
        *,
        key: str,
        contents: Contents,
        form: Fields,
        default: bool | DecisionKind | None = ...,
        **asked: Unpack[Shown],
    ) -> Verdict[dict[str, Any]]: ...
    @must_await("job.preview")
    async def preview(
        self,
        title: str,
        *,
        key: str,
        contents: Contents,
        form: Any = None,
        default: bool | DecisionKind | None = None,
        **asked: Unpack[Shown],
    ) -> Verdict[Any]:
        """Show what would happen and have it accepted, edited, revised or rejected.

        `verdict.text(content_id)` is a content as it was accepted. Otherwise as `confirm`.
        """
        return await self._decide("preview", title, key, form, default, {**asked, "contents": contents})

    async def _decide(
        self, kind: str, title: str, key: str, form: Any, default: bool | DecisionKind | None, asked: Options
    ) -> Verdict[Any]:
        declared = None
        if default is not None:
            if isinstance(default, bool):
                default = DecisionKind.ACCEPT if default else DecisionKind.REJECT
            declared = Default(default)
        shape = None if form is None else form_of(form, title)
        fitting = await self._ask(title, key, shape, declared, {"kind": kind, **asked})
        require_answer(fitting.prompt)
        return verdict_of(fitting.prompt, fitting.values, fitting.edits)

    async def _ask(
        self, title: str, key: str, form: Form | None, default: Default | None, asked: Options
    ) -> Fitting:
        supersedes, same = list(asked.pop("supersedes", ())), bool(asked.pop("same", False))
        content = prompt_content(title, form=form, default=default, **asked)
        deadline = asked.get("deadline")
        return await ask_until_it_fits(
            self._lease, key, content, form, deadline=deadline, supersedes=supersedes, same=same
        )

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
