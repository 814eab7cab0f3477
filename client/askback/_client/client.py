"""The client: starts, follows and changes jobs, asks people, and answers prompts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

from askback._client.ask_calls import AskCalls
from askback._client.job_filter import LabelConditions, label_fields
from askback._client.people_calls import PeopleCalls
from askback._client.prompt_calls import PromptCalls
from askback._client.receipt_calls import ReceiptCalls
from askback._client.routing_calls import RoutingCalls
from askback._client.rule_calls import RuleCalls
from askback._model.identity import Identity
from askback._model.overview import Overview
from askback._model.times import duration
from askback._wire.calls import CALL_SECONDS, Calls
from askback._wire.channel import Endpoint, Tls, default_namespace
from askback._wire.contact import CONNECT_SECONDS
from askback.v1 import access_service_pb2 as access
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs

if TYPE_CHECKING:
    from askback._console.console import Console


class ClientOptions(TypedDict, total=False):
    """The options of a client besides its target; see Client."""

    token: str | None
    user: str | None
    groups: Sequence[str] | None
    namespace: str | None
    tls: Tls | bool | None
    deadline: float
    connect_timeout: float


entered: ContextVar[Client | None] = ContextVar("askback_entered_client", default=None)
"""The client of the innermost `async with Client(...)`: job functions start on it."""


async def current_client() -> Client:
    """The client of the innermost `async with Client(...)`. Raises RuntimeError if there is none."""
    client = entered.get()
    if client is None:
        raise RuntimeError("enter a client first: `async with Client(...)`, or name one: .using(client)")
    return client


class Client(AskCalls, PromptCalls, PeopleCalls, RoutingCalls, RuleCalls, ReceiptCalls):
    """A connection to the service for programs.

        async with Client("dns:///askback:50051") as client:
            run = await client.start("refund", {"order": "A-17"})
            print(await run.result())

    Inside `async with`, the job functions of a worker start on it too: `await refund.start(order="A-17")`.

    Arguments that are not given come from the environment variables that the command line reads too:
    `ASKBACK_SERVER`, `ASKBACK_TOKEN`, `ASKBACK_NAMESPACE`, `ASKBACK_CA` and others (see the page for
    operators). `user` and `groups` name the caller to a server without authentication; `tls` may be
    `Tls.from_files(ca, cert, key)`, True for the roots of public authorities, or False. `deadline` bounds a
    call in seconds, retries included. The target is HOST, HOST:PORT (50051 by default) or a target of gRPC;
    a malformed one raises ValueError. A server that was never reached has `connect_timeout` seconds to
    appear; settings that cannot work are refused at once.

    Every method raises the most specific AskbackError (see askback.errors). Any method may raise Unavailable
    (CannotConnect, with a remedy, if there never was a connection), Unauthenticated and PermissionDenied.

    A client may be created at import and used in any number of event loops, one after another or in threads.
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
        deadline: float = CALL_SECONDS,
        connect_timeout: float = CONNECT_SECONDS,
    ) -> None:
        endpoint = Endpoint.resolve(target, token=token, user=user, groups=groups, tls=tls)
        calls = Calls(endpoint, deadline=deadline, contact_timeout=connect_timeout)
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
        # No ContextVar token: a fixture may exit in another context than it was entered in.
        if entered.get() is self:
            entered.set(self._around)
        await self.aclose()

    async def whoami(self) -> Identity:
        """The identity of this client at the server: name, namespaces, roles, groups, expiry.

        Any role may call it. Raises Unauthenticated, Unimplemented (an older server).
        """
        return Identity.from_proto(await self._calls.unary(self._calls.access.WhoAmI, access.WhoAmIRequest()))

    async def overview(self, *, window: timedelta | float | None = None) -> Overview:
        """Read the figures of the namespace: what waits, who is connected, and what happened in a window.

        `window` is from 1 hour to 30 days, until now; 24 hours if not given. A caller with the role console
        alone gets the figures of the prompts that it may see, and nothing else. Raises InvalidTime,
        InvalidArgument, Unimplemented (an older server).
        """
        request = jobs.GetOverviewRequest(namespace=self.namespace)
        if window is not None:
            request.window.CopyFrom(duration(window, "window"))
        return Overview.from_proto(await self._calls.unary(self._calls.jobs.GetOverview, request))

    async def aclose(self) -> None:
        """Close the connection. May be called repeatedly."""
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
        """A live console for one person: `async with client.console() as console`.

        `user` and `groups` name the person if it is not the client's own user (without authentication only).
        `kinds`, `job_types`, `labels` (by name, a value or several alternatives), `job_id` and `for_groups`
        (groups that the audience must name) narrow the view. `credit` is the number of prompts that the
        server sends before the program takes one; 0: it waits only while the client does not read. Entering
        the console raises CannotConnect, at once or after the client's `connect_timeout`, if there is no
        connection. A slow server has this `connect_timeout` (None: both wait without limit). It also raises
        a final error of the server, or Unavailable. `test` marks the scripted human of a test: a server
        outside test mode refuses its answers.
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
            patience=self._calls.contact_timeout,
            test=test,
        )
