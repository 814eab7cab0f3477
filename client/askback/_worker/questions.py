"""The methods of a job that ask people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from pydantic_core import to_json

from askback._client.unawaited import must_await
from askback._client.verdict import GIVING_VALUES, Verdict, refusal, require_answer, verdict_of
from askback._model.content import UNSET, Asked, Contents, Default, Shown, Unset, parts_of, prompt_content
from askback._model.enums import DecisionKind, PromptState
from askback._model.form import Form, form_of
from askback._model.prompts import Content
from askback._worker.asking import Fitting, ask_until_it_fits
from askback._worker.lease import Lease
from askback.v1 import prompt_pb2

if TYPE_CHECKING:
    from typing_extensions import TypeForm as FormType


T = TypeVar("T")
Options = dict[str, Any]
Fields = Mapping[str, Any] | Sequence[prompt_pb2.Question]
"""A form without a Python type: a JSON Schema, or the contract's questions. Its values are a dict."""
_RESPONDING = frozenset({"confirm", "preview", "validate", "structure_fix"})


class JobQuestions:
    """Asks people. Each question has a key, under which its answer is stored."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

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

        `form` may also be a JSON Schema of type object or a list of the contract's questions; then the
        answer is a dict. `to` names `user:NAME` and `group:NAME`. With a `deadline`, `default` is the answer
        if there is none in time (None is returned as it is, and not shown to people).

        If a validator of the type refuses an answer, the question is asked again under the keys `KEY#2` and
        `KEY#3`, with the reason and the previous values.

        Raises PromptExpired without an answer in time and without a default, PromptDeclined if a person
        declined, PromptCancelled if the prompt was withdrawn, InvalidAnswer (the job fails for good) after a
        third refused answer, QuestionChanged if the key has an answer to another wording (`same=True` keeps
        that answer), DuplicateKey if this run has used the key, InvalidKey, InvalidArgument with the server's
        violations, InvalidValue for a default that does not fit the type, TypeError for a type that has no
        form, ValueError for contradictory arguments.
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
        """Ask for approval. The verdict is true only for ACCEPT and EDIT; see also `comment`, `by`, `at`.

        `form` asks for additional values, which are `verdict.values`. `default` is the decision if the
        deadline expires; then `verdict.by_default` is true. Arguments and errors are those of `ask`, but a
        negative decision is a result and raises no PromptDeclined.
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
        """Ask for approval of a report: Markdown text, or any JSON value. Otherwise as `confirm`."""
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
        """Show planned contents and have them accepted, edited, revised or rejected.

        `verdict.text(content_id)` is the accepted text of a content. Otherwise as `confirm`.
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
