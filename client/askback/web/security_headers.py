"""The headers that protect the page in a browser: on every response, errors and refusals included."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from askback.web.origins import Origins

ASSETS = "/assets/"
_STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_PERMISSIONS = (
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), "
    "magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), serial=(), usb=()"
)
"""Features of browsers that the page does not use. Names that a browser does not know fill its console."""


def content_security_policy(origins: Origins) -> str:
    """What the page may load and do: its own files, no inline script or style, no `eval`, no HTML strings.

    The origins of WebSockets are named, because older Safari does not count them to 'self'.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "font-src 'none'",
            " ".join(("connect-src 'self'", *origins.socket_sources)),
            "manifest-src 'self'",
            "worker-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


class SecurityHeaders:
    """ASGI middleware that adds the headers to responses, WebSockets and refused handshakes.

    It must be outside of everything that responds, Starlette's page for server errors included.
    """

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._headers = {
            "content-security-policy": content_security_policy(origins),
            "x-content-type-options": "nosniff",
            # `no-referrer` would turn the Origin of the page's own requests into `null`.
            "referrer-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": _PERMISSIONS,
        }
        # It holds for all ports of a host: on loopback it would break other pages of developers.
        if origins.public:
            self._headers["strict-transport-security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_protected(message: Message) -> None:
            if message["type"] in _STARTS:
                message.setdefault("headers", [])
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                if not _may_be_stored(scope, message):
                    headers["cache-control"] = "no-store"
            await send(message)

        await self._app(scope, receive, send_protected)


def _may_be_stored(scope: Scope, message: Message) -> bool:
    """Whether caches may store the response: files of the page, except a missing one, which may come soon."""
    return scope["path"].startswith(ASSETS) and message.get("status") in (200, 304)
