"""What all requests of a gateway share: settings, the service, the page, and what is open."""

from __future__ import annotations

from askback._wire.channel import Endpoint
from askback.web.assets import Assets
from askback.web.callers import Callers
from askback.web.open_streams import OpenStreams
from askback.web.settings import WebSettings
from askback.web.upstream import Upstream


class Gateway:
    """A gateway without its HTTP server."""

    def __init__(
        self, settings: WebSettings, endpoint: Endpoint, callers: Callers, *, only_healthy: bool = True
    ) -> None:
        """`only_healthy`: as in `Endpoint.open`. Raises AssetsMissing."""
        self.settings = settings
        self.limits = settings.limits
        self.callers = callers
        self.assets = Assets()
        self.upstream = Upstream(endpoint, only_healthy=only_healthy)
        self.streams = OpenStreams(settings.limits.sockets)
