"""The OpenAPI description of the gateway, with the comments of the contract."""

from __future__ import annotations

import json

from askback.web.openapi import document
from scripts.reference.contract import PACKAGE, sources

_MESSAGE, _ENUM, _SERVICE = 4, 5, 6


def text() -> str:
    """The description as JSON."""
    comments: dict[str, str] = {}
    for source in sources():
        for number, service in enumerate(source.proto.service):
            name = f"{PACKAGE}.{service.name}"
            comments[name] = source.comment(_SERVICE, number)
            for index, method in enumerate(service.method):
                comments[f"{name}.{method.name}"] = source.comment(_SERVICE, number, 2, index)
        for number, enum in enumerate(source.proto.enum_type):
            comments[f"{PACKAGE}.{enum.name}"] = source.comment(_ENUM, number)
        for number, message in enumerate(source.proto.message_type):
            name = f"{PACKAGE}.{message.name}"
            comments[name] = source.comment(_MESSAGE, number)
            for index, field in enumerate(message.field):
                comments[f"{name}.{field.name}"] = source.comment(_MESSAGE, number, 2, index)
    return json.dumps(document(comments), indent=1, ensure_ascii=False) + "\n"
