"""Builds the grpc.aio server: options, services, health, reflection."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from askback.v1 import hitl_service_pb2, job_service_pb2, worker_service_pb2
from askback_server.sessions.replica import Replica
from askback_server.transport.certificates import Certificates
from askback_server.transport.hitl_servicer import HitlServicer
from askback_server.transport.interceptors import CallInterceptor
from askback_server.transport.job_servicer import JobServicer
from askback_server.transport.tokens import Authenticator
from askback_server.transport.worker_servicer import WorkerServicer

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
)


def _serialise(message: Any) -> bytes:
    """Streams write bytes that they have serialised once for all."""
    if isinstance(message, bytes):
        return message
    data: bytes = message.SerializeToString()
    return data


def _handlers(service: ServiceDescriptor, servicer: Any) -> grpc.GenericRpcHandler[Any, Any]:
    """The service's methods, as its descriptor says."""
    methods = {}
    for method in service.methods:
        parse = message_factory.GetMessageClass(method.input_type).FromString
        behaviour = getattr(servicer, method.name)
        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[method.client_streaming, method.server_streaming]
        methods[method.name] = make(behaviour, parse, _serialise)
    return grpc.method_handlers_generic_handler(service.full_name, methods)


LIVENESS = "liveness"
"""The health checks' name for: this process answers. It says so in a drain too, which is no reason for a
restart."""

SERVICES = (
    job_service_pb2.DESCRIPTOR.services_by_name["JobService"],
    worker_service_pb2.DESCRIPTOR.services_by_name["WorkerService"],
    hitl_service_pb2.DESCRIPTOR.services_by_name["HitlService"],
)


class Server:
    """The listening side of a replica."""

    def __init__(self, replica: Replica, authenticator: Authenticator) -> None:
        most = replica.max_message_bytes
        sizes = (("grpc.max_receive_message_length", most), ("grpc.max_send_message_length", 4 * most))
        self.calls = CallInterceptor(authenticator, replica.limits)
        self._server = grpc.aio.server(interceptors=[self.calls], options=[*OPTIONS, *sizes])
        servicers = (JobServicer(replica), WorkerServicer(replica), HitlServicer(replica))
        self._server.add_generic_rpc_handlers(
            [_handlers(service, servicer) for service, servicer in zip(SERVICES, servicers, strict=True)]
        )
        self.health = HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        names = [s.full_name for s in SERVICES]
        reflection.enable_server_reflection(
            [*names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME],
            self._server,
        )
        self._names = ["", *names]
        self._health_server: grpc.aio.Server | None = None
        self.ready = False

    def listen(self, address: str, certificates: Certificates | None = None) -> int:
        """Bind a `host:port`, with TLS if there are certificates; port 0 takes a free one.

        Returns the port. Raises RuntimeError.
        """
        if certificates is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, certificates.credentials())

    def listen_health(self, address: str) -> int:
        """Bind a second `host:port` that has the health checks alone, without TLS and tokens: kubelet has
        neither. Returns the port. Raises RuntimeError."""
        self._health_server = grpc.aio.server(options=OPTIONS)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._health_server)
        return self._health_server.add_insecure_port(address)

    async def start(self) -> None:
        """Accept calls."""
        await self.health.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
        if self._health_server is not None:
            await self._health_server.start()
        await self._server.start()

    async def set_ready(self, ready: bool) -> None:
        """Say so to health checks, overall and per service."""
        self.ready = ready
        status = health_pb2.HealthCheckResponse
        for name in self._names:
            await self.health.set(name, status.SERVING if ready else status.NOT_SERVING)

    async def stop(self, grace: float) -> None:
        """Accept no more calls, and wait up to `grace` seconds for those that run."""
        await self._server.stop(grace)

    async def close(self) -> None:
        """Say nothing about health any more: the very last that a replica does."""
        if self._health_server is not None:
            await self._health_server.stop(0)
