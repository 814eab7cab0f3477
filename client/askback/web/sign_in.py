"""Signing in and out: `GET /session`, `POST /session`, `POST /session/end`.

The service judges every credential. The gateway only seals it, so that a browser can keep it safely.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol, TypeAlias

import grpc
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from askback.v1 import access_service_pb2 as pb
from askback.web.callers import Caller, Callers, caller_of, name_metadata, token_metadata
from askback.web.rate_limits import FAILED_SIGN_INS, SIGN_INS_AT_ONCE, AtOnce, RateLimit
from askback.web.refused import Refused
from askback.web.session_cookie import Session, SessionCookies, TooLarge

MAX_BODY_BYTES = 16 * 1024
"""Maximum size of the body of a sign-in: a token of 6 KiB, the longest that the service takes, and room."""
_METHODS_SECONDS = 5.0
"""Time for which the gateway remembers how the service authenticates."""

_log = logging.getLogger("askback.web.sessions")

Credential: TypeAlias = tuple[tuple[str, str], ...]
"""The metadata with which the service authenticates a person."""
StartSession: TypeAlias = Callable[[Credential], Awaitable[str]]
"""Checks a credential with the service, and returns the `Set-Cookie` header of a new session.

Raises Refused, and grpc.aio.AioRpcError with the service's reason.
"""


class Access(Protocol):
    """AccessService in the name of a caller. Both raise Refused and grpc.aio.AioRpcError."""

    async def whoami(self, caller: Caller) -> pb.WhoAmIResponse:
        """The caller as the service knows it."""

    async def end_session(self, caller: Caller) -> None:
        """End the caller's session for all gateways."""


class SignInMethod(Protocol):
    """A further way to sign in, such as OpenID Connect. This is the one place where it plugs in.

    Its routes lead the browser to the provider and back. When the person is known it has a credential that
    the service accepts, calls `start`, and redirects to `/` with the cookie. The browser does not send that
    cookie with the redirect (SameSite=Strict, and the chain began at another site): the page needs none, and
    its script asks `/session` next, which is a request of the same site. The state between leaving and coming
    back needs a cookie of its own: SameSite=Lax, ten minutes, one use.
    """

    @property
    def name(self) -> str:
        """Its name in `signIn` of `/session`. The page links to `/session/NAME`."""

    def routes(self, start: StartSession) -> Sequence[BaseRoute]:
        """Its routes, all below `/session/NAME`."""


class SignIn:
    """The routes under `/session`."""

    def __init__(
        self,
        access: Access,
        callers: Callers,
        cookies: SessionCookies,
        *,
        page_version: str,
        server: str,
        methods: Sequence[SignInMethod] = (),
        counted: Callable[[], AbstractContextManager[None]] = nullcontext,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`page_version` and `server` are for the page; `methods` are further ways to sign in;
        `counted` counts an attempt, which is made inside of it."""
        self._access = access
        self._callers = callers
        self._cookies = cookies
        self._shown = {"pageVersion": page_version, "server": server}
        self._methods = methods
        self._counted = counted
        self._monotonic = monotonic
        self._failures = RateLimit(FAILED_SIGN_INS, "failed attempts to sign in", monotonic=monotonic)
        self._running = AtOnce(SIGN_INS_AT_ONCE, "attempts to sign in")
        self._own: tuple[str, ...] = ()
        self._own_until = 0.0

    def routes(self) -> list[BaseRoute]:
        """The routes, those of further methods included."""
        return [
            Route("/session", self._get, methods=["GET"]),
            Route("/session", self._start, methods=["POST"]),
            Route("/session/end", self._end, methods=["POST"]),
            *(route for method in self._methods for route in method.routes(self._start_for)),
        ]

    async def _get(self, request: Request) -> Response:
        """Who is signed in. It is no error if there is no session."""
        try:
            caller = self._callers.of_request(request)
            identity = await self._access.whoami(caller)
        except Refused as refused:
            if refused.code is not grpc.StatusCode.UNAUTHENTICATED:
                raise
            return await self._signed_out(remove=self._cookies.name in request.cookies)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise
            return await self._signed_out(remove=True)
        return JSONResponse(await self._signed_in(identity, caller.expires_at))

    async def _start(self, request: Request) -> Response:
        """Sign in with a token or a name."""
        with self._counted():
            return await self._sign_in(request)

    async def _sign_in(self, request: Request) -> Response:
        self._callers.require_locks(request)
        credential = credential_of(await _body(request))
        with self._attempt(client_of(request)):
            session, identity = await self._check(credential)
        response = JSONResponse(await self._signed_in(identity, session.ends_at))
        response.headers["set-cookie"] = self._seal(session)
        return response

    @contextmanager
    def _attempt(self, address: str) -> Iterator[None]:
        """One attempt to sign in, which counts as failed from its start: guesses that run at the same time
        are limited as those that follow each other. Raises Refused."""
        with self._running.one():
            self._failures.count(address)
            try:
                yield
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                    _log.info("a sign-in from %s failed", address)
                else:
                    self._failures.give_back(address)
                raise
            except Exception:
                self._failures.give_back(address)
                raise
            self._failures.give_back(address)

    async def _end(self, request: Request) -> Response:
        """Sign out. If the service cannot be told, the session goes on, and this is an error."""
        try:
            caller = self._callers.of_request(request)
            if caller.session_id:
                await self._access.end_session(caller)
        except Refused as refused:
            if refused.code is not grpc.StatusCode.UNAUTHENTICATED:
                raise
        except grpc.aio.AioRpcError as error:
            # The session or its credential has ended already.
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise
        return await self._signed_out(remove=True)

    async def _start_for(self, credential: Credential) -> str:
        with self._counted():
            session, _ = await self._check(credential)
            return self._seal(session)

    async def _check(self, credential: Credential) -> tuple[Session, pb.WhoAmIResponse]:
        """A new session, and the person whom the service knows by the credential.

        The service must have used this very credential. One without authentication believes every token, and
        one that knows the gateway by its certificate would take every name for the gateway.
        """
        by_token = credential[0][0] == "authorization"
        if not by_token and not self._callers.names:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "sign in with a token", "WRONG_METHOD")
        session = self._cookies.start(credential)
        identity = await self._access.whoami(caller_of(session))
        if identity.authentication != (pb.AUTHENTICATION_TOKEN if by_token else pb.AUTHENTICATION_NONE):
            text = "sign in with a name: this server has no tokens" if by_token else "sign in with a token"
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, text, "WRONG_METHOD")
        if identity.HasField("expire_time"):
            lasts = identity.expire_time.ToNanoseconds() - identity.server_time.ToNanoseconds()
            session = session.ending_by(self._cookies.now() + lasts / 1e9)
        return session, identity

    def _seal(self, session: Session) -> str:
        try:
            return self._cookies.seal(session)
        except TooLarge:
            text = "the token is too long for a browser's cookie; ask for a shorter one"
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, text, "TOKEN_TOO_LONG") from None

    async def _signed_out(self, *, remove: bool) -> Response:
        now = _iso(self._cookies.now())
        response = JSONResponse(
            {"signedIn": False, "serverTime": now, "signIn": await self._ways(), **self._shown}
        )
        if remove:
            response.headers["set-cookie"] = self._cookies.removal()
        return response

    async def _signed_in(self, identity: pb.WhoAmIResponse, ends_at: float | None) -> dict[str, Any]:
        """What the page learns about its person. The names are those of WhoAmIResponse in JSON."""
        ends = [ends_at] if ends_at is not None else []
        if identity.HasField("expire_time"):
            ends.append(identity.expire_time.ToNanoseconds() / 1e9)
        return {
            "signedIn": True,
            "subject": identity.subject,
            "groups": [*identity.groups],
            "namespaces": [*identity.namespaces],
            "allNamespaces": identity.all_namespaces,
            "roles": [*identity.roles],
            "admin": identity.admin,
            "authentication": pb.Authentication.Name(identity.authentication),
            **({"expireTime": _iso(min(ends))} if ends else {}),
            "serverTime": identity.server_time.ToJsonString(),
            "signIn": await self._ways(),
            **self._shown,
        }

    async def _ways(self) -> list[str]:
        """How people can sign in here."""
        if self._monotonic() >= self._own_until:
            self._own = await self._own_ways()
            self._own_until = self._monotonic() + _METHODS_SECONDS
        return [*self._own, *(method.name for method in self._methods)]

    async def _own_ways(self) -> tuple[str, ...]:
        """Whether the service authenticates: it then refuses a call without credentials."""
        try:
            identity = await self._access.whoami(Caller(()))
        except Refused:
            return ("token",)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise
            return ("token",)
        if identity.authentication != pb.AUTHENTICATION_NONE:
            return ("token",)
        return ("name",) if self._callers.names else ()


def client_of(request: Request) -> str:
    """Whose failed attempts are counted together: the address, and the one that a proxy there has added.

    Behind a proxy all clients have the proxy's address, and one of them must not lock out the others. A
    client that makes up such an address counts alone: no other client has its pair.
    """
    peer = request.client.host if request.client else ""
    # A proxy may add it in a header of its own, behind the one that its client has made up.
    last = ",".join(request.headers.getlist("x-forwarded-for")).rpartition(",")[2].strip()
    try:
        return f"{peer} {ipaddress.ip_address(last)}"
    except ValueError:
        return peer


def credential_of(body: object) -> Credential:
    """The credential in the body of a sign-in. Raises Refused."""
    match body:
        case {"token": str(token), **rest} if not rest:
            return token_metadata(token)
        case {"name": str(name), **rest} if not set(rest) - {"groups"}:
            groups = rest.get("groups", [])
            if isinstance(groups, list) and all(isinstance(group, str) for group in groups):
                return name_metadata(name, groups)
    text = 'send {"token": "…"}, or {"name": "…", "groups": ["…"]}'
    raise Refused(grpc.StatusCode.INVALID_ARGUMENT, text, "BAD_SIGN_IN")


async def _body(request: Request) -> object:
    """The JSON of a small body. Raises Refused."""
    received = b""
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY_BYTES:
            text = f"a sign-in has at most {MAX_BODY_BYTES} bytes"
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, text, "BAD_SIGN_IN")
    try:
        return json.loads(received)
    except (ValueError, RecursionError):
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "the body is not JSON", "BAD_SIGN_IN") from None


def _iso(seconds: float) -> str:
    """A time as ProtoJSON has it."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03}Z"
