"""The endpoint of a server, and the options of its channels: no other module sets gRPC options."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files

import grpc

from askback._text.files import read_file
from askback._wire.address import parse_address
from askback._wire.forking import check_process, note_channel

DEFAULT_TARGET = "127.0.0.1:50051"
MAX_RECEIVE_BYTES = 4 * 1024 * 1024
MAX_SEND_BYTES = 4 * 1024 * 1024
MAX_BATCH_BYTES = 512 * 1024
"""Maximum bytes of frames that one stream message collects. A larger frame is sent alone."""
CONNECT_MILLISECONDS = 5_000
"""Time for one attempt to connect: TCP, TLS and the first frame of HTTP/2. gRPC's name for it is
`min_reconnect_backoff_ms`; the pause between two attempts follows the other two options alone."""

MAX_RECONNECT_MILLISECONDS = 3_000
"""The longest pause between two attempts, which gRPC changes by up to a fifth. A call with a timeout of 5 s
or more then sees an attempt: with pauses of 5 s it could fail although the server was back all the time."""


@lru_cache(maxsize=1)
def _service_config() -> str:
    return files("askback").joinpath("service_config.json").read_text(encoding="utf-8")


def channel_options() -> list[tuple[str, int | str]]:
    """The options of every channel.

    `ping_timeout_ms` is set because it overrides the keepalive timeout. The bandwidth probe is off because
    it lets megabytes accumulate for a reader that has stopped reading. Channels share no subchannel: if two
    channels share one and both check the server's health, grpc may crash the process when they connect at
    the same time (HealthProducer::AddWatcher of one before HealthProducer::Start of the other).
    """
    return [
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.ping_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
        ("grpc.max_send_message_length", MAX_SEND_BYTES),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", CONNECT_MILLISECONDS),
        ("grpc.max_reconnect_backoff_ms", MAX_RECONNECT_MILLISECONDS),
        ("grpc.enable_retries", 1),
        ("grpc.service_config", _service_config()),
        ("grpc.use_local_subchannel_pool", 1),
    ]


ENVIRONMENT = (
    "ASKBACK_SERVER",
    "ASKBACK_TOKEN",
    "ASKBACK_USER",
    "ASKBACK_GROUP",
    "ASKBACK_NAMESPACE",
    "ASKBACK_TLS",
    "ASKBACK_CA",
    "ASKBACK_CERT",
    "ASKBACK_KEY",
)
"""Environment variables with the defaults of a client; the command line reads the same names."""

File = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS settings as PEM bytes: the trusted roots (None: grpc's own, for public authorities) and, for mTLS,
    the private key and the certificate chain."""

    root_certificates: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    certificate_chain: bytes | None = None

    @classmethod
    def from_files(cls, ca: File | None = None, cert: File | None = None, key: File | None = None) -> Tls:
        """Read TLS settings from PEM files: the roots, and for mTLS the certificate chain and its key.

        Raises OSError for a file that cannot be read (the text names path, owner and mode), ValueError for
        a file that is not PEM, and for a certificate without its key or a key without its certificate.
        """
        if (cert is None) != (key is None):
            raise ValueError("mTLS needs both, cert= and key=")
        return cls(_pem(ca), _pem(key), _pem(cert))


def _pem(path: File | None) -> bytes | None:
    if path is None:
        return None
    content = read_file(path)
    if b"-----BEGIN" not in content:
        raise ValueError(f"{os.fspath(path)} is not a PEM file")
    return content


def _environment(name: str) -> str | None:
    """The value of a variable of ENVIRONMENT; None if it is not set or empty."""
    return os.environ.get(f"ASKBACK_{name}") or None


def default_namespace(namespace: str | None) -> str:
    """The given namespace, else `ASKBACK_NAMESPACE`, else empty: the caller's default."""
    return (_environment("NAMESPACE") or "") if namespace is None else namespace


def _default_tls() -> Tls | None:
    ca, cert, key = _environment("CA"), _environment("CERT"), _environment("KEY")
    wanted = (_environment("TLS") or "no").lower() in ("1", "true", "t", "yes", "y", "on")
    return Tls.from_files(ca, cert, key) if wanted or ca or cert or key else None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a server, and the caller's credentials.

    `target` is HOST, HOST:PORT or a target of gRPC (see askback._wire.address); it is stored as a target.
    `token` is a bearer token; without one, `user` and `groups` name the caller to a server without
    authentication. Raises ValueError for a malformed address or token.
    """

    target: str = DEFAULT_TARGET
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    groups: tuple[str, ...] = ()
    tls: Tls | None = None

    def __post_init__(self) -> None:
        address = parse_address(self.target)
        object.__setattr__(self, "target", address.target)
        if address.tls is False and self.tls is not None:
            raise ValueError("the address says no TLS (http:// or grpc://), the other settings say TLS")
        if address.tls and self.tls is None:
            object.__setattr__(self, "tls", Tls())
        if self.token is not None:
            token = self.token.strip()  # a token from a file may end with a newline
            if not token.isascii() or not token.isprintable():
                raise ValueError("the token has characters that no token has; look for line ends in it")
            object.__setattr__(self, "token", token)

    @classmethod
    def resolve(
        cls,
        target: str | Endpoint | None = None,
        *,
        token: str | None = None,
        user: str | None = None,
        groups: Sequence[str] | None = None,
        tls: Tls | bool | None = None,
    ) -> Endpoint:
        """Build an endpoint from the arguments, else from the environment (see ENVIRONMENT), else loopback.

        `tls` True means TLS with the roots of public authorities, False no TLS. An Endpoint as `target` is
        returned as it is. Raises ValueError, and the errors of Tls.from_files.
        """
        if isinstance(target, Endpoint):
            return target
        target = target or _environment("SERVER") or DEFAULT_TARGET
        if tls is False and parse_address(target).tls:
            raise ValueError("the address says TLS (https:// or grpcs://), and tls=False says none")
        return cls(
            target,
            token or _environment("TOKEN"),
            user or _environment("USER"),
            tuple((_environment("GROUP") or "").split()) if groups is None else tuple(groups),
            _default_tls() if tls is None else (Tls() if tls is True else tls or None),
        )

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata of every call: the credentials."""
        pairs: list[tuple[str, str]] = []
        if self.token:
            pairs.append(("authorization", f"Bearer {self.token}"))
        if self.user:
            pairs.append(("askback-user", self.user))
        if self.groups:
            pairs.append(("askback-groups", ",".join(self.groups)))
        return tuple(pairs)

    def open(self, *, only_healthy: bool = True) -> grpc.aio.Channel:
        """Open a channel with its own TCP connection.

        Without `only_healthy` it also sends calls to a server that reports that it is not serving. Raises
        RuntimeError in a process that cannot use gRPC because it was forked (see askback._wire.forking).
        """
        check_process()
        options = channel_options()
        if not only_healthy:
            options.append(("grpc.inhibit_health_checking", 1))
        if self.tls is None:
            return note_channel(grpc.aio.insecure_channel(self.target, options=options))
        credentials = grpc.ssl_channel_credentials(
            self.tls.root_certificates, self.tls.private_key, self.tls.certificate_chain
        )
        return note_channel(grpc.aio.secure_channel(self.target, credentials, options=options))

    @property
    def address(self) -> str:
        """The address as people write it."""
        return self.target.removeprefix("dns:///")
