"""The middleware around the application, from the outside in: security headers, hosts, renewed cookies."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from askback.web.callers import SCOPE_KEY
from askback.web.connect_errors import from_refusal
from askback.web.counts import Counts
from askback.web.origins import Origins
from askback.web.refused import Refused
from askback.web.security_headers import SecurityHeaders
from askback.web.session_cookie import Session, SessionCookies

PROBES = frozenset({"/healthz", "/readyz"})
"""Paths for probes, which name the host as they like. They say nothing about people and jobs."""


def protect(app: ASGIApp, origins: Origins, cookies: SessionCookies, counts: Counts) -> ASGIApp:
    """The application with the protection of every request and WebSocket."""
    return SecurityHeaders(HostCheck(CookieRenewal(app, cookies), origins, counts), origins)


class HostCheck:
    """ASGI middleware that refuses requests to hosts that are not the page's."""

    def __init__(self, app: ASGIApp, origins: Origins, counts: Counts) -> None:
        self._app = app
        self._origins = origins
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a WebSocket."""
        if scope["type"] in ("http", "websocket") and scope["path"] not in PROBES:
            try:
                self._origins.require_host(Headers(scope=scope))
            except Refused as refused:
                if scope["type"] == "websocket":
                    self._counts.refused["socket", refused.reason] += 1
                await from_refusal(refused).response()(scope, receive, send)
                return
        await self._app(scope, receive, send)


class CookieRenewal:
    """ASGI middleware that renews the cookie of a session that is in use."""

    def __init__(self, app: ASGIApp, cookies: SessionCookies) -> None:
        self._app = app
        self._cookies = cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a WebSocket."""

        async def send_renewed(message: Message) -> None:
            session: Session | None = scope.get(SCOPE_KEY)
            if message["type"] == "http.response.start" and session is not None and message["status"] < 400:
                headers = MutableHeaders(scope=message)
                # A handler that starts or ends a session has set the cookie itself.
                if "set-cookie" not in headers and self._cookies.is_due(session):
                    headers.append("set-cookie", self._cookies.seal(session))
            await send(message)

        await self._app(scope, receive, send_renewed)
