"""Checks that an address can be listened on, before anything else is started."""

from __future__ import annotations

import errno
import os
import socket

from askback_server.addresses import address

_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class CannotListen(OSError):
    """An address cannot be listened on. The message names it and the setting to change."""


def check_listen(text: str, flag: str) -> None:
    """Bind HOST:PORT for a moment, on all addresses of its host. Raises CannotListen."""
    host, port = address(text)
    if port == 0:
        return
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise CannotListen(f"the name {host} cannot be resolved: choose another with {flag}") from None
    absent = 0
    for family, kind, protocol, _, place in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                # As grpc does, so that connections of a process that has just ended are ignored.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(place)
        except OSError as error:
            if error.errno in _NO_SUCH_ADDRESS and absent + 1 < len(found):
                absent += 1  # `localhost` may name an IPv6 address that the machine does not have
                continue
            raise CannotListen(f"{text} {_why(error)}: choose another with {flag}") from None


def cannot_listen(text: str, flag: str, error: Exception) -> CannotListen:
    """The error to raise if grpc could not bind the address."""
    try:
        check_listen(text, flag)
    except CannotListen as found:
        return found
    return CannotListen(f"{text} cannot be listened on ({error}): choose another with {flag}")


def _why(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "is in use"
        case errno.EACCES | errno.EPERM:
            return "may not be listened on (ports below 1024 are for root)"
        case errno.EADDRNOTAVAIL:
            return "is not an address of this machine"
    return f"cannot be listened on ({os.strerror(error.errno or 0).lower()})"
