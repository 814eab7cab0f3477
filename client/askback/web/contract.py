"""The methods of the contract by their path, as the descriptors have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from askback.v1 import (
    access_service_pb2,
    hitl_service_pb2,
    job_service_pb2,
    policy_service_pb2,
    worker_service_pb2,
)

SERVICES: tuple[ServiceDescriptor, ...] = (
    hitl_service_pb2.DESCRIPTOR.services_by_name["HitlService"],
    job_service_pb2.DESCRIPTOR.services_by_name["JobService"],
    access_service_pb2.DESCRIPTOR.services_by_name["AccessService"],
    worker_service_pb2.DESCRIPTOR.services_by_name["WorkerService"],
    policy_service_pb2.DESCRIPTOR.services_by_name["PolicyService"],
)


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the contract."""

    path: str
    """Such as `/askback.v1.JobService/GetJob`: of the gRPC call, and of the gateway's POST."""
    request: type[Message]
    response: type[Message]
    streaming: bool
    descriptor: MethodDescriptor


def _method(service: ServiceDescriptor, method: MethodDescriptor) -> Method:
    return Method(
        f"/{service.full_name}/{method.name}",
        message_factory.GetMessageClass(method.input_type),
        message_factory.GetMessageClass(method.output_type),
        method.client_streaming or method.server_streaming,
        method,
    )


METHODS: Mapping[str, Method] = MappingProxyType(
    {found.path: found for service in SERVICES for found in (_method(service, m) for m in service.methods)}
)
"""All methods by path."""
