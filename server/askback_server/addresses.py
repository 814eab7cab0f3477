"""Addresses to listen on: parses HOST:PORT, and compares two of them."""

from __future__ import annotations

import ipaddress
import re

DEFAULT_PORT = 50051
_HOST = r"([^\s:\[\]/]+|\[[0-9a-fA-F:.]+\])"
_PORT = r"(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])"
_ADDRESS = re.compile(f"{_HOST}:{_PORT}")
_ALONE = re.compile(_HOST)


def is_address(text: str) -> bool:
    """Whether it is HOST:PORT. An IPv6 host must be in brackets."""
    return _ADDRESS.fullmatch(text) is not None


def with_port(text: str) -> str:
    """The address with the default port if it has only a host. Any other text is returned unchanged."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        # A number alone is a port without a host.
        is_host = _ALONE.fullmatch(text) and not text.isdecimal()
        return f"{text}:{DEFAULT_PORT}" if is_host else text
    return f"[{text}]:{DEFAULT_PORT}"


def address(text: str) -> tuple[str, int]:
    """Host and port of a valid HOST:PORT; an IPv6 host without its brackets."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def overlap(one: str, other: str) -> bool:
    """Whether two valid addresses have the same port on a shared host, so that only one can be bound.

    Names for DNS are compared as text. Port 0 is any free port, so it never overlaps.
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
    """Whether the host means every address of the machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
