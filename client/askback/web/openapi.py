"""The OpenAPI description of the unary calls and the event streams, made from the contract's descriptors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from starlette.requests import Request
from starlette.responses import Response

from askback.web.connect_errors import HTTP_STATUS, code_name
from askback.web.contract import METHODS, Method
from askback.web.event_query import JOB, JOBS, LABELS, PROMPTS, filter_fields
from askback.web.proto_json import compact
from askback.web.session_cookie import SECURE_COOKIE

_INT64 = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
_INT32 = {"type": "integer", "format": "int32"}
_SCALARS: Mapping[int, dict[str, Any]] = {
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
_WELL_KNOWN: Mapping[str, dict[str, Any]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
}
_ERROR = {
    "type": "object",
    "description": "An error of the Connect protocol.",
    "required": ["code"],
    "properties": {
        "code": {"type": "string", "enum": [*map(code_name, HTTP_STATUS)]},
        "message": {"type": "string"},
        "details": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "value"],
                "properties": {
                    "type": {"type": "string", "description": "The name of a message of protobuf."},
                    "value": {"type": "string", "description": "The message in base64 without padding."},
                    "debug": {"type": "object", "description": "The message as JSON."},
                },
            },
        },
    },
}


_LABELS = {
    "type": "array",
    "items": {"type": "string", "pattern": "^[^=]+="},
    "description": "NAME=VALUE: a label that must be present; of several values of one NAME, one.",
}


class _Schemas:
    """The schemas of messages and enums, each made when it is first referred to."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self.by_name: dict[str, Any] = {"Error": _ERROR}

    def describe(self, name: str) -> dict[str, Any]:
        """The description of an element; empty if there is none."""
        text = " ".join(self._comments.get(name, "").split())
        return {"description": text} if text else {}

    def reference(self, described: Descriptor | EnumDescriptor) -> dict[str, Any]:
        """A reference to the schema of a message or enum."""
        if described.full_name in _WELL_KNOWN:
            return _WELL_KNOWN[described.full_name]
        if described.name not in self.by_name:
            self.by_name[described.name] = {}  # messages refer to each other
            if isinstance(described, EnumDescriptor):
                shown: dict[str, Any] = {"type": "string", "enum": [value.name for value in described.values]}
            else:
                properties = {field.json_name: self.of_field(field) for field in described.fields}
                shown = {"type": "object", "properties": properties, "additionalProperties": False}
            self.by_name[described.name] = {**self.describe(described.full_name), **shown}
        return {"$ref": f"#/components/schemas/{described.name}"}

    def of_field(self, field: FieldDescriptor) -> dict[str, Any]:
        """The schema of a field."""
        message = field.message_type
        if message is not None and message.GetOptions().map_entry:
            kind = {"type": "object", "additionalProperties": self._kind(message.fields_by_name["value"])}
        elif field.is_repeated:
            kind = {"type": "array", "items": self._kind(field)}
        else:
            kind = self._kind(field)
        return {**kind, **self.describe(field.full_name)}

    def _kind(self, field: FieldDescriptor) -> dict[str, Any]:
        described = field.message_type or field.enum_type
        return self.reference(described) if described is not None else _SCALARS[field.type]


def document(comments: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The description. `comments` has the texts of services, methods, messages and fields by full name."""
    schemas = _Schemas(comments or {})
    paths: dict[str, Any] = {
        path: {"post": _call(method, schemas)} for path, method in METHODS.items() if not method.streaming
    }
    paths["/events/prompts"] = {"get": _events(PROMPTS, schemas)}
    paths["/events/jobs"] = {"get": _events(JOBS, schemas)}
    paths["/events/jobs/{id}"] = {"get": _events(JOB, schemas)}
    services = {method.descriptor.containing_service for method in METHODS.values()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Askback",
            "version": "v1",
            "description": "The unary calls of askback.v1 over HTTP, as the Connect protocol has them, and "
            "the watches as server-sent events. Replies leave out fields with their default value.",
        },
        "security": [{"bearer": []}, {"session": []}],
        "tags": [
            {"name": service.name, **schemas.describe(service.full_name)}
            for service in sorted(services, key=lambda service: str(service.name))
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": SECURE_COOKIE,
                    "description": "The session of a page; a request needs the page's Origin too.",
                },
            },
            "schemas": dict(sorted(schemas.by_name.items())),
        },
    }


def _call(method: Method, schemas: _Schemas) -> dict[str, Any]:
    found = method.descriptor
    return {
        "operationId": f"{found.containing_service.name}_{found.name}",
        "tags": [found.containing_service.name],
        **schemas.describe(found.full_name),
        "parameters": [
            _header("connect-protocol-version", {"const": "1"}),
            _header("connect-timeout-ms", {"type": "integer", "minimum": 0}),
        ],
        "requestBody": {"required": True, "content": _json(schemas.reference(found.input_type))},
        "responses": {
            "200": {"description": "The response.", "content": _json(schemas.reference(found.output_type))},
            "default": _failure(),
        },
    }


def _events(method: Method, schemas: _Schemas) -> dict[str, Any]:
    found = method.descriptor
    schemas.reference(found.output_type)
    parameters = [_header("last-event-id", {"type": "string"})]
    ended: dict[str, Any] = {}
    if method is JOB:
        ended["204"] = {"description": "The job has ended, and `last-event-id` is its last event."}
        parameters.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}})
    else:
        parameters.append({"name": "namespace", "in": "query", "schema": {"type": "string"}})
        parameters += [
            {"name": name, "in": "query", "schema": schemas.of_field(field)}
            for name, field in filter_fields(method).items()
        ]
        parameters.append({"name": LABELS, "in": "query", "schema": _LABELS})
    name = found.output_type.name
    return {
        "operationId": f"{found.containing_service.name}_{found.name}",
        "tags": [found.containing_service.name],
        **schemas.describe(found.full_name),
        "parameters": parameters,
        "responses": {
            "200": {
                "description": f"Server-sent events. The data is a {name}, the id the newest position.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            **ended,
            "default": _failure(),
        },
    }


def _header(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": schema}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _failure() -> dict[str, Any]:
    return {"description": "An error.", "content": _json({"$ref": "#/components/schemas/Error"})}


class OpenApi:
    """Serves the description, without the comments of the contract."""

    def __init__(self) -> None:
        self._text = ""

    async def handle(self, _: Request) -> Response:
        """The description, which is made when it is first asked for."""
        self._text = self._text or compact(document())
        return Response(self._text, media_type="application/json")
