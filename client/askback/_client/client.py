"""The client: starts jobs, asks, follows, steers and answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

from askback._client.ask_calls import AskCalls
from askback._client.job_filter import LabelConditions, label_fields
from askback._client.prompt_calls import PromptCalls
from askback._model.identity import Identity
from askback._wire.calls import DEADLINE, Calls
from askback._wire.channel import Endpoint, Tls, default_namespace
from askback._wire.contact import PATIENCE
from askback.v1 import access_service_pb2 as access
from askback.v1 import hitl_service_pb2 as hitl

if TYPE_CHECKING:
    from askback._console.console import Console


class ClientOptions(TypedDict, total=False):
    """What a client may be given besides its target; see Client."""

    token: str | None
    user: str | None
    groups: Sequence[str] | None
    namespace: str | None
    tls: Tls | bool | None
    deadline: float
    connect_timeout: float


entered: ContextVar[Client | None] = ContextVar("askback_entered_client", default=None)
"""The client that was entered with `async with` around this code: job functions start on it."""


async def entered_client() -> Client:
    """The client to start a job with. Raises RuntimeError if none was entered."""
    client = entered.get()
    if client is None:
        raise RuntimeError("enter a client first: `async with Client(...)`, or name one: .using(client)")
    return client


class Client(AskCalls, PromptCalls):
    """A connection to the service for programs.

        async with Client("dns:///askback:50051") as client:
            run = await client.start("refund", {"order": "A-17"})
            print(await run.result())

    While it is entered, the job functions of a worker start on it too: `await refund.start(order="A-17")`.

    What is not given comes from the environment, under the command line's names: `ASKBACK_SERVER`,
    `ASKBACK_TOKEN`, `ASKBACK_NAMESPACE`, `ASKBACK_CA` and so on (see the page for operators). `user` and
    `groups` name the caller to a server without authentication; `tls` may be `Tls.from_files(ca, cert,
    key)`, True for the public web's roots, or False. `deadline` bounds a call, retries
    included, in seconds. The target is HOST, HOST:PORT (50051 by default) or one of gRPC's; ValueError for
    what cannot be one. A server that was never reached and where nothing listens yet has
    `connect_timeout` seconds to appear; settings that cannot work are refused at once.
    Every method raises AskbackError of the class that fits (see askback.errors): Unavailable
    (CannotConnect, with what to do, where there never was a connection), Unauthenticated and
    PermissionDenied anywhere.

    A client may be made at import and used in any number of event loops, one after another or in threads.
    It may be used after a fork unless it was connected before: then its methods raise RuntimeError.
    """

    def __init__(
        self,
        target: str | Endpoint | None = None,
        *,
        token: str | None = None,
        user: str | None = None,
        groups: Sequence[str] | None = None,
        namespace: str | None = None,
        tls: Tls | bool | None = None,
        deadline: float = DEADLINE,
        connect_timeout: float = PATIENCE,
    ) -> None:
        endpoint = Endpoint.resolve(target, token=token, user=user, groups=groups, tls=tls)
        calls = Calls(endpoint, deadline=deadline, patience=connect_timeout)
        super().__init__(calls, default_namespace(namespace))
        self._around: Client | None = None

    @classmethod
    def connect(cls, target: str | Endpoint | None = None, **options: Unpack[ClientOptions]) -> Self:
        """The same as `Client(...)`; reads well in `async with Client.connect(...) as client`."""
        return cls(target, **options)

    async def __aenter__(self) -> Self:
        self._around = entered.get()
        entered.set(self)
        return self

    async def __aexit__(self, *exc: object) -> None:
        # No token of the variable: a fixture may leave in another context than it entered in.
        if entered.get() is self:
            entered.set(self._around)
        await self.aclose()

    async def whoami(self) -> Identity:
        """Who the server says that this client is: name, namespaces, roles, groups, expiry.

        Any role may ask. Raises Unauthenticated, Unimplemented (an older server).
        """
        return Identity.from_proto(await self._calls.unary(self._calls.access.WhoAmI, access.WhoAmIRequest()))

    async def aclose(self) -> None:
        """Close the connection. Repeatable."""
        await self._calls.aclose()

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
        """A live console for one person: `async with client.console() as desk`.

        `user` and `groups` say who it is where that differs from the client's own (without authentication
        only). `kinds`, `job_types`, `labels` (by name, a value or several of which one must be there),
        `job_id` and `for_groups` (groups that the audience must name) narrow the view. `credit` is how
        many prompts may be on their way before the program takes one; 0: the server paces. Entering it
        raises CannotConnect at once, or when the client's own `connect_timeout` is over, where there is
        no connection. A server that is slow has this `connect_timeout` (None: both wait without limit).
        It raises what refuses the console for good, or Unavailable. `test` says that a test's scripted
        human sits there: a server that is not in test mode takes nothing from it.
        """
        from askback._console.console import Console

        endpoint = self._calls.endpoint
        if user is not None or groups is not None:
            endpoint = replace(
                endpoint,
                user=endpoint.user if user is None else user,
                groups=endpoint.groups if groups is None else tuple(groups),
            )
        view = hitl.PromptFilter(
            kinds=kinds, job_types=job_types, job_id=job_id, groups=for_groups, **label_fields(labels)
        )
        return Console(
            endpoint,
            namespace=self.namespace,
            view=view,
            credit=credit,
            console_id=console_id,
            connect_timeout=connect_timeout,
            patience=self._calls.patience,
            test=test,
        )
