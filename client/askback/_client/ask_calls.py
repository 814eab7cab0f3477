"""The part of the client that asks people without a worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack, overload

from askback._client.job_calls import JobCalls
from askback._client.run import Run
from askback._client.unawaited import must_await
from askback._client.verdict import Verdict
from askback._model.approvals import Approving
from askback._model.content import Contents, Deadline, Decisions, Default, Reminding, prompt_content
from askback._model.delegations import Delegating
from askback._model.enums import DecisionKind, FinalAction
from askback._model.escalation import After, Exclude
from askback._model.form import TypeForm, form_of
from askback.v1 import prompt_pb2

if TYPE_CHECKING:
    from typing_extensions import TypeForm as FormType

T = TypeVar("T")


class AskOptions(TypedDict, total=False):
    """The options of a question without a worker besides title, form and default; see Client.ask."""

    kind: str
    body: str
    contents: Contents
    to: Iterable[str]
    deadline: Deadline | None
    on_deadline: FinalAction | str
    exclude: Exclude | None
    approval: Approving
    delegation: Delegating
    escalate: Iterable[After]
    remind: Reminding
    decisions: Decisions
    priority: int
    labels: Mapping[str, str] | None
    metadata: Any
    group_key: str
    job_type: str
    request_id: str | None
    retention: timedelta | float | None


class AskCalls(JobCalls):
    """Starts jobs without a worker: each consists of one question."""

    @overload
    async def ask(
        self,
        title: str,
        *,
        form: None = ...,
        default: bool | DecisionKind | None = ...,
        **options: Unpack[AskOptions],
    ) -> Run[Verdict[None]]: ...
    @overload
    async def ask(
        self,
        title: str,
        *,
        form: FormType[T],
        default: T | bool | DecisionKind | None = ...,
        **options: Unpack[AskOptions],
    ) -> Run[Verdict[T]]: ...
    @overload
    async def ask(
        self,
        title: str,
        *,
        form: Mapping[str, Any] | Sequence[prompt_pb2.Question],
        default: Any = ...,
        **options: Unpack[AskOptions],
    ) -> Run[Verdict[dict[str, Any]]]: ...
    @must_await("client.ask")
    async def ask(
        self,
        title: str,
        *,
        kind: str = "confirm",
        form: Any = None,
        body: str = "",
        contents: Contents = (),
        to: Iterable[str] = (),
        deadline: Deadline | None = None,
        default: bool | DecisionKind | Any = None,
        on_deadline: FinalAction | str = FinalAction.EXPIRE,
        exclude: Exclude | None = None,
        approval: Approving = None,
        escalate: Iterable[After] = (),
        remind: Reminding = None,
        decisions: Decisions = (),
        priority: int = 0,
        labels: Mapping[str, str] | None = None,
        metadata: Any = None,
        group_key: str = "",
        job_type: str = "askback.ask",
        request_id: str | None = None,
        retention: timedelta | float | None = None,
        delegation: Delegating = None,
    ) -> Run[Verdict[Any]]:
        """Ask people without a worker: start a job whose result is the Verdict on its question.

            if await (await client.ask("Deploy?")).result(): ...

        `form` is a type (the type of the verdict's values), a JSON Schema or a list of questions. `default`
        is the decision (or True for ACCEPT, False for REJECT; with a form, the value) when the deadline
        expires. `exclude` names people who may not answer, and `approval` how many must approve together: a
        number, or Approval for more. `delegation` says to whom they may delegate it: a DelegationScope, or
        DelegationPolicy for names. `escalate` names whom to ask next without an answer, `remind` how often
        consoles remind people. `group_key` is the same for similar questions. Raises the errors of `start`,
        and ValueError for contradictory arguments.
        """
        shape = None if form is None else form_of(form, title)
        declared = None
        if isinstance(default, bool):
            declared = Default(DecisionKind.ACCEPT if default else DecisionKind.REJECT)
        elif isinstance(default, Default):
            declared = default
        elif isinstance(default, DecisionKind):
            declared = Default(default)
        elif default is not None and shape is not None:
            declared = Default(DecisionKind.RESPOND, shape.dump(default))
        request = self._create(job_type, request_id, labels, priority, 0, retention, "")
        request.prompt.CopyFrom(
            prompt_content(
                title,
                kind=kind,
                body=body,
                form=shape,
                contents=contents,
                to=to,
                deadline=deadline,
                default=declared,
                on_deadline=on_deadline,
                exclude=exclude,
                approval=approval,
                escalate=escalate,
                remind=remind,
                decisions=decisions,
                priority=priority,
                labels=labels,
                metadata=metadata,
                group_key=group_key,
                delegation=delegation,
            )
        )
        # Only this process knows the type; in another one `client.run(job_id)` returns plain values.
        return await self._create_run(request, Verdict[form] if isinstance(shape, TypeForm) else Verdict)
