"""Where the server is and how it is spoken to: the only place that sets gRPC options."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files

import grpc

DEFAULT_TARGET = "127.0.0.1:50051"
MAX_RECEIVE_BYTES = 4 * 1024 * 1024
MAX_SEND_BYTES = 4 * 1024 * 1024
MAX_BATCH_BYTES = 512 * 1024
"""How much one stream message gathers. A single larger frame goes alone."""


@lru_cache(maxsize=1)
def _service_config() -> str:
    return files("askback").joinpath("service_config.json").read_text(encoding="utf-8")


def channel_options() -> list[tuple[str, int | str]]:
    """The options of every channel.

    `ping_timeout_ms` is there because the keepalive timeout alone is overridden by it; the bandwidth
    probe is off because it lets megabytes pile up behind a reader that does not read.
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
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        ("grpc.enable_retries", 1),
        ("grpc.service_config", _service_config()),
    ]


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS by files' contents: the roots to trust (None: the system's) and, for mTLS, key and chain."""

    root_certificates: bytes | None = None
    private_key: bytes | None = None
    certificate_chain: bytes | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server and who speaks to it.

    `token` is a bearer token; without one, `user` and `groups` name the caller to a server that runs
    with authentication off.
    """

    target: str = DEFAULT_TARGET
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    groups: tuple[str, ...] = ()
    tls: Tls | None = None

    @classmethod
    def resolve(
        cls,
        target: str | None = None,
        *,
        token: str | None = None,
        user: str | None = None,
        groups: Sequence[str] = (),
        tls: Tls | bool = False,
    ) -> Endpoint:
        """What the arguments say, else `ASKBACK_SERVER` and `ASKBACK_TOKEN`, else this machine."""
        return cls(
            target or os.environ.get("ASKBACK_SERVER") or DEFAULT_TARGET,
            token or os.environ.get("ASKBACK_TOKEN") or None,
            user,
            tuple(groups),
            (Tls() if tls is True else tls) or None,
        )

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries: the credentials."""
        pairs: list[tuple[str, str]] = []
        if self.token:
            pairs.append(("authorization", f"Bearer {self.token}"))
        if self.user:
            pairs.append(("askback-user", self.user))
        if self.groups:
            pairs.append(("askback-groups", ",".join(self.groups)))
        return tuple(pairs)

    def open(self, *, own_connection: bool = False) -> grpc.aio.Channel:
        """A channel. With `own_connection` it shares no TCP connection with other channels."""
        options = channel_options()
        if own_connection:
            options.append(("grpc.use_local_subchannel_pool", 1))
        if self.tls is None:
            return grpc.aio.insecure_channel(self.target, options=options)
        credentials = grpc.ssl_channel_credentials(
            self.tls.root_certificates, self.tls.private_key, self.tls.certificate_chain
        )
        return grpc.aio.secure_channel(self.target, credentials, options=options)
