"""Explains why there is no connection to a server, by trying it with plain sockets.

gRPC's own texts do not help: "Socket closed" for a port that speaks TLS, "WRONG_VERSION_NUMBER" for one that
does not. This module resolves the name, connects, and begins TLS and HTTP/2, up to the step that fails.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

from askback._text.files import file_problem
from askback._wire.channel import Endpoint, Tls
from askback.errors import CannotConnect

STEP_SECONDS = 1.0
"""Seconds that each step may take: name, connection, handshake, first byte."""
_MAX_ADDRESSES = 4
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""The HTTP/2 connection preface and an empty SETTINGS frame."""
_SETTINGS = 4
_ALERT = b"\x15\x03"
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21, 24, 27})
_WRONG_NAME = frozenset({62, 64})
_EXPIRED, _NOT_YET_VALID = 10, 9
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")


async def diagnose(endpoint: Endpoint) -> CannotConnect | None:
    """The obstacle to a connection; None if an HTTP/2 server answers, or if the cause cannot be determined.

    Takes a few seconds at most, and leaves nothing open.
    """
    places = await _places(endpoint)
    if isinstance(places, CannotConnect):
        return places
    found = [await _look(endpoint, place) for place in places[:_MAX_ADDRESSES]]
    if not found or None in found:
        return None
    # Of several addresses prefer one that answers wrongly: it tells more than one that does not answer.
    return next((problem for problem in found if problem and not problem.passing), found[0])


async def _places(endpoint: Endpoint) -> list[Any] | CannotConnect:
    """The places to connect to: `(host, port)` or a socket's path. Empty if only gRPC can resolve them."""
    scheme, colon, rest = endpoint.target.partition(":")
    if scheme == "unix" and colon:
        return [unquote(rest.removeprefix("//"))]
    if scheme in ("ipv4", "ipv6") and not rest.isdecimal():
        return [_split(part) for part in rest.split(",") if part.rpartition(":")[2].isdecimal()]
    if scheme == "dns" and rest.startswith("//") and not rest.startswith("///"):
        return []  # the target names its own DNS server
    if scheme in ("unix-abstract", "vsock", "xds", "google-c2p", "passthrough") or _proxy():
        return []
    host, port = _split(endpoint.address)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(2 * STEP_SECONDS):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return CannotConnect(
            f"the name {host} cannot be resolved: check the address {endpoint.address}", passing=True
        )
    except TimeoutError:
        return CannotConnect(f"the name {host} is not resolved in time: check the DNS servers", passing=True)
    return [address[:2] for *_, address in found]


def _split(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _proxy() -> bool:
    """Whether gRPC uses a proxy of the environment: then a direct connection would prove nothing."""
    return any(os.environ.get(name) for name in _PROXIES)


async def _look(endpoint: Endpoint, place: Any) -> CannotConnect | None:
    name = endpoint.address
    try:
        if endpoint.tls is None:
            return await _look_plain(name, place)
        return await _look_secure(name, place, endpoint.tls)
    except TimeoutError:
        return CannotConnect(
            f"{name} does not answer: check the address, and any firewall in between", passing=True
        )
    except ConnectionRefusedError:
        return CannotConnect(
            f"nothing listens on {name} (connection refused): start it with `askback serve`, or correct "
            "the address",
            passing=True,
        )
    except OSError as error:
        if isinstance(place, str):
            return CannotConnect(file_problem(place, error, verb="connected to"), passing=True)
        why = os.strerror(error.errno).lower() if error.errno else str(error)
        return CannotConnect(f"{name} cannot be reached: {why}", passing=True)


async def _look_plain(name: str, place: Any) -> CannotConnect | None:
    answer = await _first_bytes(place, None)
    if _is_http2(answer):
        return None
    if answer.startswith(_ALERT) or (not answer and await _speaks_tls(place)):
        return CannotConnect(
            f"{name} speaks TLS: add --ca FILE (in a program tls=Tls.from_files(ca=FILE)), or --tls if a "
            "public authority signed its certificate",
            passing=False,
        )
    return _other(name, answer)


async def _look_secure(name: str, place: Any, tls: Tls) -> CannotConnect | None:
    try:
        context = _context(tls)
    except ValueError as error:
        return CannotConnect(str(error), passing=False)
    host = _split(name)[0] if isinstance(place, tuple) else "localhost"
    try:
        answer = await _first_bytes(place, context, host)
    except ssl.SSLCertVerificationError as error:
        return CannotConnect(f"{name}: {_certificate_words(error, host)}", passing=False)
    except (ssl.SSLError, ConnectionResetError, ConnectionAbortedError, EOFError) as error:
        reason = str(getattr(error, "reason", "") or "")
        if "CERTIFICATE" in reason and "ALERT" in reason:
            return CannotConnect(_client_certificate_words(name, tls), passing=False)
        plain = await _first_bytes(place, None)
        if _is_http2(plain):
            return CannotConnect(
                f"{name} does not speak TLS with us: leave --tls, --ca and --cert away (in a program: "
                "tls=False)",
                passing=False,
            )
        if plain and not plain.startswith(_ALERT):
            return _other(name, plain)
        why = f": {reason.replace('_', ' ').lower()}" if reason else ""
        return CannotConnect(f"{name} does not complete the TLS handshake{why}", passing=not reason)
    if answer is None:
        return CannotConnect(
            f"{name} speaks TLS, but not HTTP/2: it is no Askback, or a proxy not set up for gRPC",
            passing=False,
        )
    if _is_http2(answer):
        return None
    if not answer:  # TLS 1.3 refuses a client's certificate after the handshake, by closing
        return CannotConnect(_client_certificate_words(name, tls), passing=False)
    return _other(name, answer)


def _context(tls: Tls) -> ssl.SSLContext:
    """The same TLS settings for the ssl module. Raises ValueError for files that cannot be used."""
    roots = tls.root_certificates
    try:
        context = ssl.create_default_context(cadata=roots.decode("ascii", "replace") if roots else None)
    except ssl.SSLError:
        raise ValueError("the file given as --ca holds no certificate in PEM") from None
    context.set_alpn_protocols(["h2"])
    if tls.certificate_chain is not None:
        # The ssl module accepts them from files only.
        with TemporaryDirectory() as folder:
            cert, key = Path(folder, "cert"), Path(folder, "key")
            cert.write_bytes(tls.certificate_chain)
            key.touch(0o600)
            key.write_bytes(tls.private_key or b"")
            try:
                context.load_cert_chain(cert, key, password="")
            except ssl.SSLError:
                raise ValueError(
                    "the files given as --cert and --key must be a certificate and its own key, both in PEM "
                    "and the key not encrypted"
                ) from None
    return context


async def _first_bytes(place: Any, context: ssl.SSLContext | None, host: str | None = None) -> Any:
    """The server's first bytes to an HTTP/2 client, up to 64; empty if it closes or sends nothing. None if
    TLS was established without HTTP/2. Raises OSError, TimeoutError, ssl.SSLError."""
    async with asyncio.timeout(2 * STEP_SECONDS):
        reader, writer = await _connect(place, context, host)
    try:
        if context is not None and writer.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            return None
        writer.write(_PREFACE)
        answer = b""
        try:
            async with asyncio.timeout(STEP_SECONDS):
                while len(answer) < 9 and (more := await reader.read(64)):
                    answer += more
        except ConnectionError:
            pass
        except TimeoutError:
            if context is not None:
                raise
        return answer
    finally:
        writer.transport.abort()


async def _connect(place: Any, context: ssl.SSLContext | None, host: str | None) -> Any:
    limits: Any = {} if context is None else {"ssl_handshake_timeout": STEP_SECONDS}
    if isinstance(place, str):
        return await asyncio.open_unix_connection(place, ssl=context, server_hostname=host, **limits)
    return await asyncio.open_connection(*place, ssl=context, server_hostname=host, **limits)


async def _speaks_tls(place: Any) -> bool:
    """Whether a server that did not answer without TLS answers a TLS handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(2 * STEP_SECONDS):
            _, writer = await _connect(place, context, "localhost")
    except (OSError, TimeoutError) as error:
        # A server that sends a TLS alert speaks TLS.
        return "ALERT" in str(getattr(error, "reason", "") or "")
    writer.transport.abort()
    return True


def _is_http2(answer: bytes | None) -> bool:
    return answer is not None and len(answer) >= 9 and answer[3] == _SETTINGS


def _other(name: str, answer: bytes) -> CannotConnect:
    if answer.startswith((b"HTTP/1", b"<")):  # HTTP/0.9 has no status line and sends the page at once
        text = f"{name} is an HTTP/1.1 server, not an Askback: check the port, or the proxy's HTTP/2 setting"
        return CannotConnect(text, passing=False)
    if answer:
        begin = answer[:16].decode("ascii", "backslashreplace").strip()
        return CannotConnect(f"{name} is not a gRPC server: it begins with {begin!r}", passing=False)
    return CannotConnect(
        f"{name} takes the connection and does not speak plaintext gRPC with us: it is overloaded, or no "
        "Askback",
        passing=True,
    )


def _certificate_words(error: ssl.SSLCertVerificationError, host: str) -> str:
    code = error.verify_code
    if code in _UNKNOWN_ISSUER:
        return "certificate signed by an unknown authority: give the authority's certificate with --ca FILE"
    if code in _WRONG_NAME:
        return f"the certificate is not for {host}: connect by a name that it has, or renew it with this name"
    if code == _EXPIRED:
        return "the certificate has expired: renew the server's certificate, or correct this machine's clock"
    if code == _NOT_YET_VALID:
        return "the certificate is not valid yet: look at the clocks of both machines"
    return f"the certificate is refused: {error.verify_message}"


def _client_certificate_words(name: str, tls: Tls) -> str:
    if tls.certificate_chain is None:
        return f"{name} wants a client certificate: add --cert FILE and --key FILE"
    return f"{name} does not accept the client certificate: have one issued by an authority that it trusts"
