"""The request of a watch, from the path, the query and `Last-Event-ID` of an event stream.

The query has `namespace` and the fields of the watch's filter by their names in JSON. A list is a repeated
parameter. `labels=NAME=VALUE` is a label that must be present; for one name several times, with one of the
values.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from starlette.requests import Request

from askback.web.connect_errors import ConnectError
from askback.web.contract import METHODS, Method

PROMPTS = METHODS["/askback.v1.HitlService/WatchPrompts"]
JOBS = METHODS["/askback.v1.JobService/WatchJobs"]
JOB = METHODS["/askback.v1.JobService/WatchJob"]
LABELS = "labels"
_SIMPLE = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_ENUM)
_TIMESTAMP = "google.protobuf.Timestamp"


def filter_fields(method: Method) -> dict[str, Any]:
    """The field descriptors of the watch's filter that a query can have besides labels, by their names in
    JSON."""
    filter = method.request.DESCRIPTOR.fields_by_name["filter"].message_type
    assert filter is not None
    return {
        field.json_name: field
        for field in filter.fields
        if field.type in _SIMPLE or (field.message_type and field.message_type.full_name == _TIMESTAMP)
    }


def watch_request(method: Method, request: Request) -> Message:
    """The request message. Raises ConnectError."""
    position = request.headers.get("last-event-id", "")
    query = request.query_params
    if method is JOB:
        _check_names(request, set())
        values = {"jobId": request.path_params["id"], **({"afterSeq": position} if position else {})}
    else:
        fields = filter_fields(method)
        _check_names(request, {"namespace", LABELS, *fields})
        found: dict[str, Any] = {
            name: query.getlist(name) if field.is_repeated else query[name]
            for name, field in fields.items()
            if name in query
        }
        found |= _label_fields(query.getlist(LABELS))
        values = {"resumeToken": position, "namespace": query.get("namespace", ""), "filter": found}
    try:
        return ParseDict(values, method.request())
    except ParseError as error:
        raise _wrong(f"the query or Last-Event-ID is wrong: {error}") from None


def _check_names(request: Request, known: set[str]) -> None:
    """Refuse a parameter that is not known: a misspelt filter would show more than was asked for."""
    if unknown := sorted(set(request.query_params) - known):
        names = ", ".join(sorted(known)) or "nothing"
        raise _wrong(f"the query has {unknown[0][:50]!r}; it may have {names}")


def _label_fields(texts: list[str]) -> dict[str, Any]:
    """The label fields of a filter in JSON. Raises ConnectError."""
    by_name: defaultdict[str, list[str]] = defaultdict(list)
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise _wrong(f"labels must be NAME=VALUE, not {text[:50]!r}")
        by_name[name].append(value)
    return {
        "labels": {name: values[0] for name, values in by_name.items() if len(values) == 1},
        "anyLabels": [
            {"name": name, "values": values} for name, values in by_name.items() if len(values) > 1
        ],
    }


def _wrong(text: str) -> ConnectError:
    return ConnectError(grpc.StatusCode.INVALID_ARGUMENT, text[:300], reason="QUERY")
