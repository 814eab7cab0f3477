"""Addresses to listen on: HOST:PORT as people write them, and whether two of them are the same place."""

from __future__ import annotations

import ipaddress
import re

DEFAULT_PORT = 50051
_HOST = r"([^\s:\[\]/]+|\[[0-9a-fA-F:.]+\])"
_PORT = r"(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])"
_ADDRESS = re.compile(f"{_HOST}:{_PORT}")
_ALONE = re.compile(_HOST)


def is_address(text: str) -> bool:
    """Whether it is HOST:PORT, an IPv6 host in brackets."""
    return _ADDRESS.fullmatch(text) is not None


def with_port(text: str) -> str:
    """The address with the default port if it names only a host; any other text as it is."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        # A number alone is a port whose host was forgotten.
        is_host = _ALONE.fullmatch(text) and not text.isdecimal()
        return f"{text}:{DEFAULT_PORT}" if is_host else text
    return f"[{text}]:{DEFAULT_PORT}"


def address(text: str) -> tuple[str, int]:
    """Host and port of a checked HOST:PORT; an IPv6 host loses its brackets."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def overlap(one: str, other: str) -> bool:
    """Whether two checked addresses cannot both be listened on: the same port, at a host that they share.

    Names that only DNS knows are compared as text. Port 0 is any free port, so it never overlaps.
    """
    (host, port), (other_host, other_port) = address(one), address(other)
    if not port or port != other_port:
        return False
    return (
        host == other_host
        or _any(host)
        or _any(other_host)
        or (is_loopback(host) and is_loopback(other_host))
    )


def _any(host: str) -> bool:
    """Whether it stands for every address of the machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
