"""The client for programs without an event loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from askback._client import client as aio
from askback._client.ask_calls import AskOptions
from askback._client.client import ClientOptions
from askback._client.job_calls import StartOptions
from askback._client.job_filter import LabelConditions
from askback._client.verdict import Verdict
from askback._model.enums import DecisionKind, Keep
from askback._model.understanding import Understanding
from askback._wire.calls import CALL_SECONDS
from askback._wire.channel import Endpoint, Tls
from askback._wire.contact import CONNECT_SECONDS
from askback.sync.console import Console
from askback.sync.rules import Rules
from askback.sync.run import Run
from askback.sync.twin import Twin, blocking, iterating
from askback.v1 import prompt_pb2

if TYPE_CHECKING:
    from typing_extensions import TypeForm as FormType

T = TypeVar("T")


class Client(Twin):
    """A connection to the service for programs without an event loop: Django, Flask, scripts, notebooks.

        with Client() as client:
            run = client.start("refund", {"order": "A-17"})
            print(run.result(timeout=60))

    Arguments, methods, results and errors are those of askback.Client, with plain methods for coroutines and
    iterators for async iterators. One client may be used by any number of threads at the same time, and also
    inside a running event loop, as in a notebook (the call blocks that loop).

    The calls run in one event loop in a daemon thread named `askback.sync`, which all clients of a process
    share and which the first call starts. The connections are closed at the end of the process. Ctrl-C
    cancels the waiting call. A client may be created at import, but must be used only after a fork: a client
    that was connected before raises RuntimeError in the child.
    """

    _twin: aio.Client

    def __init__(
        self,
        target: str | Endpoint | None = None,
        *,
        token: str | None = None,
        user: str | None = None,
        groups: Sequence[str] | None = None,
        namespace: str | None = None,
        tls: Tls | bool | None = None,
        deadline: float = CALL_SECONDS,
        connect_timeout: float = CONNECT_SECONDS,
    ) -> None:
        super().__init__(
            aio.Client(
                target,
                token=token,
                user=user,
                groups=groups,
                namespace=namespace,
                tls=tls,
                deadline=deadline,
                connect_timeout=connect_timeout,
            )
        )

    @classmethod
    def connect(cls, target: str | Endpoint | None = None, **options: Unpack[ClientOptions]) -> Self:
        """The same as `Client(...)`; reads well in `with Client.connect(...) as client`."""
        return cls(target, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. May be called repeatedly; a later call opens it again."""
        self._wait(self._twin.aclose())

    @property
    def namespace(self) -> str:
        """The namespace of its jobs and prompts; empty: the caller's default."""
        return self._twin.namespace

    @property
    def rules(self) -> Rules:
        """The rules of the client's namespace: `client.rules.create(...)`, as askback.Client.rules."""
        return Rules(self._twin.rules)

    @overload
    def start(self, job_type: str, input: Any = None, **options: Unpack[StartOptions]) -> Run[Any]: ...
    @overload
    def start(
        self, job_type: str, input: Any = None, *, returns: FormType[T], **options: Unpack[StartOptions]
    ) -> Run[T]: ...
    def start(
        self, job_type: str, input: Any = None, *, returns: Any = Any, **options: Unpack[StartOptions]
    ) -> Run[Any]:
        """Create a job and return its handle; arguments and errors are those of askback.Client.start."""
        return Run(self._wait(self._twin.start(job_type, input, returns=returns, **options)))

    @overload
    def ask(
        self,
        title: str,
        *,
        form: None = ...,
        default: bool | DecisionKind | None = ...,
        **options: Unpack[AskOptions],
    ) -> Run[Verdict[None]]: ...
    @overload
    def ask(
        self,
        title: str,
        *,
        form: FormType[T],
        default: T | bool | DecisionKind | None = ...,
        **options: Unpack[AskOptions],
    ) -> Run[Verdict[T]]: ...
    @overload
    def ask(
        self,
        title: str,
        *,
        form: Mapping[str, Any] | Sequence[prompt_pb2.Question],
        default: Any = ...,
        **options: Unpack[AskOptions],
    ) -> Run[Verdict[dict[str, Any]]]: ...
    def ask(
        self, title: str, *, form: Any = None, default: Any = None, **options: Unpack[AskOptions]
    ) -> Run[Verdict[Any]]:
        """Ask people without a worker, as askback.Client.ask: `if client.ask("Deploy?").result(): ...`"""
        return Run(self._wait(self._twin.ask(title, form=form, default=default, **options)))

    @overload
    def run(self, job_id: str) -> Run[Any]: ...
    @overload
    def run(self, job_id: str, *, returns: FormType[T]) -> Run[T]: ...
    def run(self, job_id: str, *, returns: Any = Any) -> Run[Any]:
        """The handle of an existing job, as askback.Client.run."""
        return Run(self._twin.run(job_id, returns=returns))

    def retry(
        self, job_id: str, *, keep: Keep | str | None = None, request_id: str | None = None
    ) -> Run[Any]:
        """Start a new job that repeats a finished one, and return its handle, as askback.Client.retry."""
        return Run(self._wait(self._twin.retry(job_id, keep=keep, request_id=request_id)))

    def update_understanding(self, job_id: str, *, expected_version: int = 0, **fields: Any) -> Understanding:
        """Change the named fields (those of Understanding). Raises NotFound, Aborted, TypeError."""
        changing = self._twin.update_understanding(job_id, expected_version=expected_version, **fields)
        return self._wait(changing)

    get = blocking(aio.Client.get)
    count = blocking(aio.Client.count)
    list = iterating(aio.Client.list)
    cancel = blocking(aio.Client.cancel)
    delete = blocking(aio.Client.delete)
    update = blocking(aio.Client.update)
    watch_all = iterating(aio.Client.watch_all)
    understanding = blocking(aio.Client.understanding)
    prompt = blocking(aio.Client.prompt)
    prompts = iterating(aio.Client.prompts)
    prompt_page = blocking(aio.Client.prompt_page)
    watch_prompts = iterating(aio.Client.watch_prompts)
    answer = blocking(aio.Client.answer)
    answer_prompts = blocking(aio.Client.answer_prompts)
    withdraw_answer = blocking(aio.Client.withdraw_answer)
    override = blocking(aio.Client.override)
    claim = blocking(aio.Client.claim)
    release = blocking(aio.Client.release)
    cancel_prompt = blocking(aio.Client.cancel_prompt)
    answers = iterating(aio.Client.answers)
    answer_records = iterating(aio.Client.answer_records)
    whoami = blocking(aio.Client.whoami)
    overview = blocking(aio.Client.overview)
    set_person = blocking(aio.Client.set_person)
    list_people = iterating(aio.Client.list_people)
    delete_person = blocking(aio.Client.delete_person)
    set_group = blocking(aio.Client.set_group)
    list_groups = iterating(aio.Client.list_groups)
    receipt = blocking(aio.Client.receipt)
    receipt_keys = blocking(aio.Client.receipt_keys)
    delegate = blocking(aio.Client.delegate)
    return_prompt = blocking(aio.Client.return_prompt)
    reroute = blocking(aio.Client.reroute)
    set_absence = blocking(aio.Client.set_absence)
    delete_absence = blocking(aio.Client.delete_absence)
    list_absences = iterating(aio.Client.list_absences)

    def console(
        self,
        *,
        user: str | None = None,
        groups: Sequence[str] | None = None,
        kinds: Iterable[str] = (),
        job_types: Iterable[str] = (),
        labels: LabelConditions | None = None,
        job_id: str = "",
        for_groups: Iterable[str] = (),
        credit: int = 32,
        console_id: str = "",
        connect_timeout: float | None = 20.0,
        test: bool = False,
    ) -> Console:
        """A live console for one person, as askback.Client.console: `with client.console() as console`."""
        console = self._twin.console(
            user=user,
            groups=groups,
            kinds=kinds,
            job_types=job_types,
            labels=labels,
            job_id=job_id,
            for_groups=for_groups,
            credit=credit,
            console_id=console_id,
            connect_timeout=connect_timeout,
            test=test,
        )
        return Console(console)
