"""Builds the grpc.aio server: options, services, health, reflection."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2

from askback.v1 import access_service_pb2, hitl_service_pb2, job_service_pb2, worker_service_pb2
from askback_server.sessions.replica import Replica
from askback_server.transport.acceptor import aio_server
from askback_server.transport.access_servicer import AccessServicer
from askback_server.transport.certificates import Certificates
from askback_server.transport.health import Health
from askback_server.transport.hitl_servicer import HitlServicer
from askback_server.transport.interceptors import CallInterceptor
from askback_server.transport.job_servicer import JobServicer
from askback_server.transport.tokens import Authenticator
from askback_server.transport.worker_servicer import WorkerServicer

_log = logging.getLogger("askback.server.transport")
OPTIONS: tuple[tuple[str, int], ...] = (
    # A dead peer is noticed in 40 s: ping_timeout overrides keepalive_timeout since grpc 1.60 or so.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    # Clients ping at 30 s; a minimum well below leaves room for their jitter.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # Without it a stream that nobody reads takes 6 MB before the first write blocks; so 90 KB.
    ("grpc.http2.bdp_probe", 0),
    # Who connects and says nothing is let go: a flood of such connections ends by itself.
    ("grpc.server_handshake_timeout_ms", 10_000),
    # A second server on the port must fail, not share it unseen.
    ("grpc.so_reuseport", 0),
    # Between these two grpc refuses a random share of the calls, so they are one. A token of 6 KiB fits.
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024),
    # Calls that wait to be accepted, of one method: one connection has at most its streams here. Above the
    # first number grpc cancels some calls by chance, and at the second all; its own numbers are 1,000 and
    # 3,000, and ten connections reach those.
    ("grpc.server.max_pending_requests", 20_000),
    ("grpc.server.max_pending_requests_hard_limit", 40_000),
)


def _serialise(message: Any) -> bytes:
    """Streams write bytes that they have serialised once for all."""
    if isinstance(message, bytes):
        return message
    data: bytes = message.SerializeToString()
    return data


def _handlers(
    service: ServiceDescriptor, servicer: Any, *, some: bool = False
) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """The handlers of the service's methods, by name, as its descriptor says.

    `some`: the servicer need not have them all, as the descriptor comes with a library that may be newer.
    """
    methods = {}
    for method in service.methods:
        if some and not hasattr(servicer, method.name):
            continue
        parse = message_factory.GetMessageClass(method.input_type).FromString
        behaviour = getattr(servicer, method.name)
        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[method.client_streaming, method.server_streaming]
        methods[method.name] = make(behaviour, parse, _serialise)
    return methods


def _add_health(health: Health, server: Any) -> None:
    server.add_registered_method_handlers(_HEALTH.full_name, _handlers(_HEALTH, health, some=True))


def _add_reflection(names: list[str], server: Any) -> None:
    """Let clients such as grpcurl ask for the contract, where grpcio-reflection is installed.

    The extra `server` brings it; `make demo` leaves it out to install less.
    """
    try:
        from grpc_reflection.v1alpha import reflection, reflection_pb2
        from grpc_reflection.v1alpha._async import ReflectionServicer
    except ModuleNotFoundError:
        _log.info("server reflection is off: grpcio-reflection is not installed")
        return
    service = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]
    servicer = ReflectionServicer([*names, reflection.SERVICE_NAME])
    server.add_registered_method_handlers(reflection.SERVICE_NAME, _handlers(service, servicer))


_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"]
HEALTH_MESSAGE = 4 * 1024
"""Bytes of a message on the port for health checks."""
CONNECTION_AGE = 0.7
"""Of the age of streams. grpc spreads it by 10 %: a client that opens its next stream gets a new
connection."""
LIVENESS = "liveness"
"""The health checks' name for: this process answers. It says so in a drain too, which is no reason for a
restart."""

SERVICES = (
    job_service_pb2.DESCRIPTOR.services_by_name["JobService"],
    worker_service_pb2.DESCRIPTOR.services_by_name["WorkerService"],
    hitl_service_pb2.DESCRIPTOR.services_by_name["HitlService"],
    access_service_pb2.DESCRIPTOR.services_by_name["AccessService"],
)


class Server:
    """The listening side of a replica."""

    def __init__(
        self,
        replica: Replica,
        authenticator: Authenticator,
        *,
        streams_per_connection: int,
        stream_age: float,
    ) -> None:
        """`stream_age` in seconds: connections are asked to close before their streams are."""
        most = replica.max_message_bytes
        self._options = (
            *OPTIONS,
            ("grpc.max_concurrent_streams", streams_per_connection),
            # Streams that are open stay: the grace of a connection has no end.
            ("grpc.max_connection_age_ms", int(stream_age * 1000 * CONNECTION_AGE)),
        )
        sizes = (("grpc.max_receive_message_length", most), ("grpc.max_send_message_length", 4 * most))
        self.calls = CallInterceptor(authenticator, replica.limits)
        self._server = aio_server((*self._options, *sizes), (self.calls,))
        access = AccessServicer(self.calls.credentials)
        servicers = (JobServicer(replica), WorkerServicer(replica), HitlServicer(replica), access)
        for service, servicer in zip(SERVICES, servicers, strict=True):
            self._server.add_registered_method_handlers(service.full_name, _handlers(service, servicer))
        self.health = Health()
        _add_health(self.health, self._server)
        names = [s.full_name for s in SERVICES]
        _add_reflection([*names, _HEALTH.full_name], self._server)
        self._names = ["", *names]
        self._health_server: Any = None
        self._watch: asyncio.Task[None] | None = None
        self.ready = False

    def listen(self, address: str, certificates: Certificates | None = None) -> int:
        """Bind a `host:port`, with TLS if there are certificates; port 0 takes a free one.

        Returns the port. Raises RuntimeError.
        """
        self.calls.certificates = certificates is not None and certificates.of_clients
        if certificates is None:
            return int(self._server.add_insecure_port(address))
        return int(self._server.add_secure_port(address, certificates.credentials()))

    def listen_health(self, address: str) -> int:
        """Bind a second `host:port` that has the health checks alone, without TLS and tokens: kubelet has
        neither. Returns the port. Raises RuntimeError."""
        small = (("grpc.max_receive_message_length", HEALTH_MESSAGE),)
        self._health_server = aio_server((*self._options, *small), (self.calls,))
        _add_health(self.health, self._health_server)
        return int(self._health_server.add_insecure_port(address))

    async def start(self) -> None:
        """Accept calls."""
        self.health.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
        self._watch = asyncio.create_task(self.calls.streams.run(), name="askback-open-calls")
        if self._health_server is not None:
            await self._health_server.start()
        await self._server.start()

    async def set_ready(self, ready: bool) -> None:
        """Say so to health checks, overall and per service."""
        self.ready = ready
        status = health_pb2.HealthCheckResponse
        for name in self._names:
            self.health.set(name, status.SERVING if ready else status.NOT_SERVING)

    async def stop(self, grace: float) -> None:
        """Accept no more calls, and wait up to `grace` seconds for those that run."""
        await self._server.stop(grace)

    async def close(self) -> None:
        """Say nothing about health any more: the very last that a replica does."""
        if self._watch is not None:
            self._watch.cancel()
        if self._health_server is not None:
            await self._health_server.stop(0)
