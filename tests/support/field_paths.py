"""Every string, list and map field of every request, found in the proto descriptors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from askback.v1 import (
    access_service_pb2,
    hitl_service_pb2,
    job_service_pb2,
    policy_service_pb2,
    worker_service_pb2,
)

TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


@dataclass(frozen=True)
class FieldPath:
    """A field of a request, as the chain of fields that leads to it."""

    method: str
    request: Descriptor
    fields: tuple[FieldDescriptor, ...]

    @property
    def field(self) -> FieldDescriptor:
        """The last field of the chain."""
        return self.fields[-1]

    @property
    def owner(self) -> str:
        """The name of the message that declares the field."""
        owner = self.field.containing_type
        assert owner is not None
        return owner.name

    def __str__(self) -> str:
        return ".".join([self.method, *(f.name for f in self.fields)])

    def message(self, value: Any) -> Any:
        """A request in which only this field is set, to `value` (for a list or map: its entries)."""
        request = GetMessageClass(self.request)()
        here = request
        for field in self.fields[:-1]:
            inner = getattr(here, field.name)
            here = inner.add() if field.is_repeated else inner
            here.SetInParent()
        if not self.field.is_repeated:
            setattr(here, self.field.name, value)
        elif isinstance(value, dict):
            getattr(here, self.field.name).update(value)
        else:
            getattr(here, self.field.name).extend(value)
        return request

    def at(self) -> str:
        """The path as it appears in a field violation."""
        parts = [f.name + ("[0]" if f.is_repeated else "") for f in self.fields[:-1]]
        return ".".join([*parts, self.field.name])


SERVICES = (job_service_pb2, worker_service_pb2, hitl_service_pb2, access_service_pb2, policy_service_pb2)


def is_map(field: FieldDescriptor) -> bool:
    """Whether the field is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def entries(field: FieldDescriptor, count: int, text: str = "x") -> Any:
    """`count` entries for a repeated or map field."""
    if is_map(field):
        return {f"k{n}": text for n in range(count)}
    if field.message_type is not None:
        return [GetMessageClass(field.message_type)() for _ in range(count)]
    return [text if field.type in TEXTS else 1] * count


def field_paths() -> Iterator[FieldPath]:
    """The field paths of the requests of all methods."""
    for module in SERVICES:
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                for fields in _walk(method.input_type, ()):
                    yield FieldPath(method.name, method.input_type, fields)


def _walk(
    descriptor: Descriptor, above: tuple[FieldDescriptor, ...]
) -> Iterator[tuple[FieldDescriptor, ...]]:
    for field in descriptor.fields:
        here = (*above, field)
        if field.is_repeated or field.type in TEXTS:
            yield here
        if field.message_type is not None and not is_map(field):
            assert field.message_type not in [f.containing_type for f in above], "a recursive message"
            yield from _walk(field.message_type, here)
