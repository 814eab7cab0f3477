"""Builds the grpc.aio server: options, services, health, reflection."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from askback.v1 import (
    access_service_pb2,
    hitl_service_pb2,
    job_service_pb2,
    policy_service_pb2,
    worker_service_pb2,
)
from askback_server.sessions.replica import Replica
from askback_server.transport.acceptor import aio_server
from askback_server.transport.access_servicer import AccessServicer
from askback_server.transport.certificates import Certificates
from askback_server.transport.health import Health
from askback_server.transport.hitl_servicer import HitlServicer
from askback_server.transport.interceptors import CallInterceptor
from askback_server.transport.job_servicer import JobServicer
from askback_server.transport.policy_servicer import PolicyServicer
from askback_server.transport.sign_in_sessions import SessionCheck
from askback_server.transport.tokens import Authenticator
from askback_server.transport.worker_servicer import WorkerServicer

_log = logging.getLogger("askback.server.transport")
OPTIONS: tuple[tuple[str, int], ...] = (
    # A dead peer is detected within 40 s. Since about grpc 1.60 ping_timeout overrides keepalive_timeout.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    # Clients ping every 30 s. A much lower minimum tolerates their jitter.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # With the probe a stream without a reader buffers 6 MB before a write blocks; without it 90 KB.
    ("grpc.http2.bdp_probe", 0),
    # Close connections without a handshake, so that a flood of them does not exhaust the server.
    ("grpc.server_handshake_timeout_ms", 10_000),
    # A second server on the port must fail instead of sharing it.
    ("grpc.so_reuseport", 0),
    # Between these two sizes grpc rejects calls at random, so they are equal. A token of 6 KiB fits.
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024),
    # Calls of one method that wait to be accepted; a connection has at most its number of streams there.
    # Above the first number grpc cancels calls at random, at the second all of them. Ten connections would
    # reach grpc's defaults, 1,000 and 3,000.
    ("grpc.server.max_pending_requests", 20_000),
    ("grpc.server.max_pending_requests_hard_limit", 40_000),
)


def _serialise(message: Message | bytes) -> bytes:
    """Streams write bytes: what several of them send is serialised once."""
    if isinstance(message, bytes):
        return message
    return message.SerializeToString()


def _handlers(
    service: ServiceDescriptor, servicer: object, *, some: bool = False
) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """The handlers of a service's methods by name.

    `some` skips methods that the servicer does not have: the descriptor of a newer library may have more.
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


# `Any`: the stubs of grpc.aio.Server lack add_registered_method_handlers.
def _add_health(health: Health, server: Any) -> None:
    server.add_registered_method_handlers(_HEALTH.full_name, _handlers(_HEALTH, health, some=True))


def _add_reflection(names: list[str], server: Any) -> None:
    """Let clients such as grpcurl read the contract, if grpcio-reflection is installed.

    The extra `server` installs it; `make demo` does not, to install less.
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
MAX_HEALTH_BYTES = 4 * 1024
"""Maximum bytes of a message on the port for health checks."""
CONNECTION_AGE_SHARE = 0.7
"""Maximum age of a connection as a share of the age of streams. grpc varies it by 10 %, so that a client that
replaces its stream does so on a new connection."""
LIVENESS = "liveness"
"""The health service that is SERVING while the process answers, in a drain too: a drain needs no restart."""

SERVICES = (
    job_service_pb2.DESCRIPTOR.services_by_name["JobService"],
    worker_service_pb2.DESCRIPTOR.services_by_name["WorkerService"],
    hitl_service_pb2.DESCRIPTOR.services_by_name["HitlService"],
    access_service_pb2.DESCRIPTOR.services_by_name["AccessService"],
    policy_service_pb2.DESCRIPTOR.services_by_name["PolicyService"],
)


class Server:
    """The gRPC server of a replica."""

    def __init__(
        self,
        replica: Replica,
        authenticator: Authenticator,
        *,
        streams_per_connection: int,
        stream_age: float,
    ) -> None:
        """`stream_age` in seconds. Connections are asked to close earlier than that."""
        maximum = replica.max_message_bytes
        self._options = (
            *OPTIONS,
            ("grpc.max_concurrent_streams", streams_per_connection),
            # Open streams continue: the grace of a connection is unlimited.
            ("grpc.max_connection_age_ms", int(stream_age * 1000 * CONNECTION_AGE_SHARE)),
        )
        sizes = (("grpc.max_receive_message_length", maximum), ("grpc.max_send_message_length", 4 * maximum))
        self.calls = CallInterceptor(SessionCheck(authenticator, replica.sign_outs), replica.limits)
        self._server = aio_server((*self._options, *sizes), (self.calls,))
        access = AccessServicer(self.calls.credentials, replica)
        people = HitlServicer(replica), access, PolicyServicer(replica)
        servicers = (JobServicer(replica), WorkerServicer(replica), *people)
        for service, servicer in zip(SERVICES, servicers, strict=True):
            self._server.add_registered_method_handlers(service.full_name, _handlers(service, servicer))
        self.health = Health()
        _add_health(self.health, self._server)
        names = [s.full_name for s in SERVICES]
        _add_reflection([*names, _HEALTH.full_name], self._server)
        self._names = ["", *names]
        self._health_server: grpc.aio.Server | None = None
        self._watch: asyncio.Task[None] | None = None
        self.ready = False

    def listen(self, address: str, certificates: Certificates | None = None) -> int:
        """Bind HOST:PORT, with TLS if there are certificates; port 0 binds a free one.

        Returns the port. Raises RuntimeError.
        """
        self.calls.certificates = certificates is not None and certificates.from_clients
        if certificates is None:
            return int(self._server.add_insecure_port(address))
        return int(self._server.add_secure_port(address, certificates.credentials()))

    def listen_inside(self, target: str) -> None:
        """Bind a second address, without TLS, that only this process can reach. Raises RuntimeError."""
        self._server.add_insecure_port(target)

    def listen_health(self, address: str) -> int:
        """Bind a second HOST:PORT for health checks only, without TLS and tokens, which kubelet cannot use.

        Returns the port. Raises RuntimeError.
        """
        small = (("grpc.max_receive_message_length", MAX_HEALTH_BYTES),)
        self._health_server = aio_server((*self._options, *small), (self.calls,))
        _add_health(self.health, self._health_server)
        return int(self._health_server.add_insecure_port(address))

    async def start(self) -> None:
        """Start to accept calls."""
        self.health.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
        self._watch = asyncio.create_task(self.calls.streams.run(), name="askback-open-calls")
        if self._health_server is not None:
            await self._health_server.start()
        await self._server.start()

    async def set_ready(self, ready: bool) -> None:
        """Set the health status of the server and of each service."""
        self.ready = ready
        status = health_pb2.HealthCheckResponse
        for name in self._names:
            self.health.set(name, status.SERVING if ready else status.NOT_SERVING)

    async def stop(self, grace: float) -> None:
        """Stop accepting calls, and wait up to `grace` seconds for running ones."""
        await self._server.stop(grace)

    async def close(self) -> None:
        """Stop the health checks. This is the last step of a stop."""
        if self._watch is not None:
            self._watch.cancel()
        if self._health_server is not None:
            await self._health_server.stop(0)
