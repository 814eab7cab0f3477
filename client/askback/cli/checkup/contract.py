"""Reads the server's contract by gRPC reflection, to compare it with the client's.

The messages of the reflection service are built here, in a separate descriptor pool: the light client does
not depend on the package that has them.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from askback.v1 import (
    access_service_pb2,
    hitl_service_pb2,
    job_service_pb2,
    policy_service_pb2,
    worker_service_pb2,
)

SERVICES = tuple(
    module.DESCRIPTOR.services_by_name[name]
    for module, name in (
        (job_service_pb2, "JobService"),
        (worker_service_pb2, "WorkerService"),
        (hitl_service_pb2, "HitlService"),
        (access_service_pb2, "AccessService"),
        (policy_service_pb2, "PolicyService"),
    )
)
_METHOD = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
_Field = descriptor_pb2.FieldDescriptorProto


def _reflection_messages() -> tuple[type[Any], type[Any]]:
    """The request and the response of the reflection service, with the fields that are used here."""
    file = descriptor_pb2.FileDescriptorProto(name="reflection.proto", package="seen", syntax="proto3")
    request = file.message_type.add(name="Request")
    request.field.add(name="symbol", number=4, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
    files = file.message_type.add(name="Files")
    files.field.add(name="files", number=1, type=_Field.TYPE_BYTES, label=_Field.LABEL_REPEATED)
    response = file.message_type.add(name="Response")
    response.field.add(
        name="found", number=4, type=_Field.TYPE_MESSAGE, type_name=".seen.Files", label=_Field.LABEL_OPTIONAL
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    classes = [
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"seen.{n}"))
        for n in ("Request", "Response")
    ]
    return classes[0], classes[1]


async def server_contract(channel: grpc.aio.Channel, timeout: float) -> dict[str, set[str]]:
    """The names of the server's methods and fields, by file of the contract.

    Raises grpc.RpcError, for example if the server has no reflection.
    """
    request, response = _reflection_messages()
    start: Any = channel.stream_stream(_METHOD, request.SerializeToString, response.FromString)
    asked = [request(symbol=service.full_name) for service in SERVICES]
    known: dict[str, set[str]] = {}
    async for answer in start(iter(asked), timeout=timeout):
        for data in answer.found.files:
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            if file.package == "askback.v1":
                known[file.name] = _names(file)
    return known


def client_contract() -> dict[str, set[str]]:
    """The names of this client's methods and fields, by file of the contract."""
    known: dict[str, set[str]] = {}
    waiting = [service.file for service in SERVICES]
    while waiting:
        file = waiting.pop()
        if file.package == "askback.v1" and file.name not in known:
            proto = descriptor_pb2.FileDescriptorProto()
            file.CopyToProto(proto)
            known[file.name] = _names(proto)
            waiting += file.dependencies
    return known


def _names(file: descriptor_pb2.FileDescriptorProto) -> set[str]:
    methods = {f"{service.name}.{method.name}" for service in file.service for method in service.method}
    fields = {f"{message.name}.{field.name}" for message in file.message_type for field in message.field}
    return methods | fields
