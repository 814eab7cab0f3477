"""The canonical form of what people see and may decide (docs/reference/prompt-form.md)."""

from __future__ import annotations

import hashlib
import json

from google.protobuf.json_format import MessageToJson

from askback.v1 import prompt_pb2 as pb

SHOWN = (
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
"""The fields of a content that are in the form."""
NEEDS_EXTRA = "receipts are verified with the extra `receipts`: pip install 'askback[receipts]'"


def canonical_form(content: pb.PromptContent) -> bytes:
    """The form of a content as readers get it, with its decisions filled in: ProtoJSON as RFC 8785 writes it.

    Raises ImportError without the extra `receipts`.
    """
    try:
        import rfc8785
    except ModuleNotFoundError:
        raise ImportError(NEEDS_EXTRA) from None
    shown = pb.PromptContent()
    shown.CopyFrom(content)
    for field in content.DESCRIPTOR.fields:
        if field.name not in SHOWN:
            shown.ClearField(field.name)  # type: ignore[arg-type]  # the stubs of protobuf want literals
    # Every number is a double in RFC 8785, also a whole one.
    form: bytes = rfc8785.dumps(json.loads(MessageToJson(shown), parse_int=float))
    return form


def digest_of_content(content: pb.PromptContent) -> str:
    """The digest of a content as readers get it: 64 hexadecimal digits. Raises ImportError like the form."""
    return hashlib.sha256(b"askback.prompt.v1\n" + canonical_form(content)).hexdigest()
