"""The canonical form of a prompt as another implementation computes it: ProtoJSON, RFC 8785, SHA-256."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import rfc8785
from google.protobuf.json_format import MessageToJson

from askback.v1 import prompt_pb2 as pb

SHOWN: tuple[Any, ...] = (
    "kind",
    "title",
    "body",
    "contents",
    "questions",
    "schema_json",
    "decisions",
    "correction",
    "approval",
)
"""The fields of PromptContent that are in the form."""
NOT_SHOWN: tuple[Any, ...] = (  # the stubs of protobuf want literals
    "derived_schema_json",
    "priority",
    "audience",
    "labels",
    "blocking",
    "final_action",
    "default_answer",
    "metadata_json",
    "timeout",
    "escalation",
    "reminders",
    "deadline",
    "exclude",
    "delegation",
    "group_key",
)


def form_of(content: pb.PromptContent) -> bytes:
    """The canonical form of a content as readers get it: with its decisions filled in."""
    shown = pb.PromptContent()
    shown.CopyFrom(content)
    for name in NOT_SHOWN:
        shown.ClearField(name)
    # As a JSON parser has it, to which every number is a double.
    document: dict[str, Any] = json.loads(MessageToJson(shown), parse_int=float)
    return rfc8785.dumps(document)


def digest_of_content(content: pb.PromptContent) -> str:
    """The digest of a content as readers get it."""
    return hashlib.sha256(b"askback.prompt.v1\n" + form_of(content)).hexdigest()
