"""The origins and hosts of the page. Other web pages must not act through a person's browser.

An origin is compared as a whole and after normalising, never by its beginning or end. The hosts are checked
too: a foreign name that is made to resolve to this machine (DNS rebinding) has a page of the same origin.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

import grpc
from starlette.datastructures import Headers

from askback._wire.address import is_loopback
from askback.web.refused import Refused

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_ORIGIN = re.compile(f"https?://{_HOST.pattern}")


class Origins:
    """Where browsers see the page. The first origin is the page's own address."""

    def __init__(self, origins: Iterable[str]) -> None:
        """Raise ValueError for a text that is no origin, for http on another host than loopback, and for a
        mix of http and https."""
        self.all = tuple(dict.fromkeys(map(normal_origin, origins)))
        if not self.all:
            raise ValueError("name at least one origin")
        schemes = {origin.partition(":")[0] for origin in self.all}
        if len(schemes) > 1:
            raise ValueError("the origins must all be https, or all be http on loopback")
        self.secure = schemes == {"https"}
        """Whether browsers see the page on https."""
        self.public = self.secure and not any(
            is_loopback(urlsplit(origin).hostname or "") for origin in self.all
        )
        """Whether browsers see the page on https, and not on this machine."""
        self._hosts = {normal_host(origin.partition("://")[2]) for origin in self.all}

    @property
    def socket_sources(self) -> tuple[str, ...]:
        """The origins of the page's WebSockets, as a content security policy can name them.

        It has no words for IPv6 addresses; browsers count those to 'self'.
        """
        return tuple(origin.replace("http", "ws", 1) for origin in self.all if "[" not in origin)

    def require_host(self, headers: Headers) -> None:
        """Refuse a request to a host that is not the page's. Raises Refused."""
        host = headers.get("host", "").lower()
        if not (_HOST.fullmatch(host) and normal_host(host) in self._hosts):
            text = "this address is not one of the page's; use the address that you were given"
            raise Refused(grpc.StatusCode.PERMISSION_DENIED, text, "HOST")

    def require_origin(self, headers: Headers) -> None:
        """Refuse a request of a page of another origin, or of an origin that the browser hides (`null`).

        Without the header Origin a browser must say that the page is of the same origin. Raises Refused.
        """
        site = headers.get("sec-fetch-site", "")
        if site not in ("", "same-origin"):
            raise _foreign()
        if not site or headers.get("origin") is not None:
            self.require_exact_origin(headers)

    def require_exact_origin(self, headers: Headers) -> None:
        """Refuse a handshake of a WebSocket without the page's origin: browsers always send it there.

        They differ on Sec-Fetch-Site at handshakes, so it does not count. Raises Refused.
        """
        found = headers.getlist("origin")
        if len(found) != 1 or found[0] not in self.all:
            raise _foreign()

    def refuse_foreign(self, headers: Headers) -> None:
        """Refuse a request that a browser makes for a page of another origin. Programs send neither header.

        Raises Refused.
        """
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise _foreign()
        if headers.get("origin") is not None:
            self.require_origin(headers)


def normal_origin(text: str) -> str:
    """An origin as browsers send it: lower case, no default port, and no path. Raises ValueError."""
    parts = urlsplit(text.strip())
    try:
        host, port = parts.hostname or "", parts.port
        host = f"[{ipaddress.IPv6Address(host)}]" if ":" in host else host.encode("idna").decode()
    except ValueError:
        host, port = "", None
    shown = f"{parts.scheme}://{host}" + ("" if port in (None, _PORTS.get(parts.scheme)) else f":{port}")
    extras = parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password
    if not _ORIGIN.fullmatch(shown) or extras:
        raise ValueError(f"{text!r} is not an origin: write https://HOST, and the port if it is not 443")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"{text!r} must begin with https://: browsers keep no session without TLS")
    return shown


def normal_host(text: str) -> str:
    """A value of the header Host without a default port: browsers leave it out, some proxies do not."""
    return text.removesuffix(":443").removesuffix(":80")


def _foreign() -> Refused:
    text = "the request comes from another web page; open the page at its own address"
    return Refused(grpc.StatusCode.PERMISSION_DENIED, text, "ORIGIN")
