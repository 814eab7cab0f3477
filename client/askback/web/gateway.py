"""What all requests of a gateway share: settings, the service, the page, and what is open."""

from __future__ import annotations

from collections.abc import Sequence

from askback._wire.channel import Endpoint
from askback.web.access_calls import AccessCalls
from askback.web.assets import Assets
from askback.web.callers import Callers
from askback.web.counts import Counts
from askback.web.open_streams import OpenStreams
from askback.web.origins import Origins
from askback.web.rate_limits import REQUESTS, RateLimit, SocketCounts
from askback.web.session_cookie import SessionCookies
from askback.web.session_keys import GeneratedKey, KeyFile
from askback.web.settings import WebSettings
from askback.web.sign_in import SignIn, SignInMethod
from askback.web.upstream import Upstream


class Gateway:
    """A gateway without its HTTP server."""

    def __init__(
        self, settings: WebSettings, endpoint: Endpoint, port: int, *, only_healthy: bool = True
    ) -> None:
        """`port` is where it listens; `only_healthy` as in `Endpoint.open`.

        Raises AssetsMissing, BadKeyFile.
        """
        self.settings = settings
        self.limits = settings.limits
        self.origins = Origins(settings.origins(port))
        keys = KeyFile(settings.session_keys) if settings.session_keys else GeneratedKey()
        self.cookies = SessionCookies(keys, secure=self.origins.secure)
        self.requests = RateLimit(REQUESTS, "requests")
        self.callers = Callers(self.cookies, self.origins, names=settings.names, count=self.requests.count)
        self.pages = SocketCounts()
        self.counts = Counts()
        self.assets = Assets()
        self.upstream = Upstream(endpoint, only_healthy=only_healthy)
        self.streams = OpenStreams(settings.limits.sockets)

    def sign_in(self, methods: Sequence[SignInMethod] = ()) -> SignIn:
        """Signing in and out. `methods` are further ways to sign in."""
        return SignIn(
            AccessCalls(self.upstream),
            self.callers,
            self.cookies,
            page_version=self.assets.version,
            server=self.origins.all[0],
            counted=self.counts.sign_in,
            methods=methods,
        )
