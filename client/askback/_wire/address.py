"""Parses the address of a server as people write it into a target of gRPC."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

DEFAULT_PORT = 50051
EXAMPLE = "HOST:PORT, for example 127.0.0.1:50051"

_RESOLVERS = frozenset(
    {"dns", "unix", "unix-abstract", "vsock", "ipv4", "ipv6", "xds", "google-c2p", "passthrough"}
)
"""Schemes that gRPC resolves."""
_PLAIN = frozenset({"http", "grpc"})
_SECURE = frozenset({"https", "grpcs"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_PREFIX = re.compile(r"(dns|unix|unix-abstract|vsock|ipv4|ipv6):(?!\d+$)(.*)", re.DOTALL | re.IGNORECASE)
_HOST = re.compile(r"[^\s:/@\[\]?#,]+")


@dataclass(frozen=True, slots=True)
class Address:
    """A valid address: gRPC's target, and whether the scheme requires TLS (None: it says nothing)."""

    target: str
    tls: bool | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether it is certainly this machine: a loopback address, `localhost` or a Unix socket."""
        if self.target.startswith(("unix:", "unix-abstract:")):
            return True
        return is_loopback(re.sub(r"^(dns:///|ipv[46]:)", "", self.target).rpartition(":")[0])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host; an IPv6 host may be in brackets."""
    host = host.strip("[]").lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_address(text: str) -> Address:
    """Parse `HOST`, `HOST:PORT`, a URL without a path, or a target of gRPC.

    The port is 50051 if none is given. `http://` and `grpc://` mean no TLS, `https://` and `grpcs://`
    mean TLS. Raises ValueError; its text never contains credentials.
    """
    text = text.strip()
    if matched := _SCHEME.fullmatch(text):
        scheme, rest = matched[1].lower(), matched[2]
        if scheme in _PLAIN | _SECURE:
            return Address(_host_and_port(rest), scheme in _SECURE)
        if scheme not in _RESOLVERS:
            raise ValueError(f"the address begins with {scheme}://, which is not gRPC: write {EXAMPLE}")
        return Address(_target(scheme, "//" + rest))
    if matched := _PREFIX.fullmatch(text):
        return Address(_target(matched[1].lower(), matched[2]))
    return Address(_host_and_port(text))


def _target(scheme: str, rest: str) -> str:
    """The target for one of gRPC's resolvers; DNS names get the default port."""
    if scheme != "dns":
        if not rest.strip("/"):
            raise ValueError(f"the address {scheme}:{rest} names nothing")
        return f"{scheme}:{rest}"
    server, slash, name = rest.removeprefix("//").partition("/") if rest.startswith("//") else ("", "", rest)
    if rest.startswith("//") and not slash:  # gRPC reads dns://host as a name server, people mean a host
        server, name = "", server
    return f"dns://{server}/{_host_and_port(name)}"


def _host_and_port(text: str) -> str:
    """`HOST:PORT`, with the default port if none is given. Raises ValueError."""
    if "@" in text:
        raise ValueError("the address has credentials in it: give a token instead, and write " + EXAMPLE)
    if "?" in text or "#" in text:
        raise ValueError(f"the address has a query or a fragment, and gRPC has none: write {EXAMPLE}")
    text, _, path = text.partition("/")
    if path.strip("/"):
        raise ValueError(f"the address has a path, /{path}, and gRPC has none: write {text or EXAMPLE}")
    if not text:
        raise ValueError(f"the address is empty: write {EXAMPLE}")
    if "," in text:
        raise ValueError(
            f"the address {text!r} names several servers: write one name that resolves to all of them, "
            "or ipv4:10.0.0.1:50051,10.0.0.2:50051"
        )
    if not text.startswith("[") and text.count(":") > 1:
        if not _is_ipv6(text):
            raise ValueError(f"the address {text!r} has too many colons: write IPv6 as [::1]:50051")
        return f"[{text}]:{DEFAULT_PORT}"
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        if not bracket or not _is_ipv6(host[1:]) or (rest and not rest.startswith(":")):
            raise ValueError(f"the address {text!r} is not an IPv6 address and a port: write [::1]:50051")
        host, colon, port = host + "]", rest[:1], rest[1:]
    else:
        host, colon, port = text.partition(":")
        if not _HOST.fullmatch(host) or not host.isprintable():
            raise ValueError(f"the address {text!r} has no usable host: write {EXAMPLE}")
    if not colon:
        return f"{host}:{DEFAULT_PORT}"
    if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65_535):
        raise ValueError(f"the port of {text!r} must be a number from 1 to 65535: write {EXAMPLE}")
    return f"{host}:{int(port)}"


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
