"""ProtoJSON: parses text into messages of the contract within limits, and formats messages.

An int64 is a string in JSON, names are lowerCamelCase, and fields with their default value are left out. A
field that the message does not have is refused, so that a misspelt one is not dropped without a sign.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from askback.web.settings import WebLimits

M = TypeVar("M", bound=Message)
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]|[\]}]|,', re.DOTALL)
_MAX_PROBLEM_CHARS = 300


class BadJson(ValueError):
    """The text is not JSON, not this message, or over a limit. The message says what is wrong."""


def parse(text: bytes, message: M, limits: WebLimits) -> M:
    """Fill the message from ProtoJSON, and return it. An empty text is an empty message. Raises BadJson."""
    if not text.strip():
        return message
    check_shape(text, limits)
    try:
        decoded = text.decode()
    except UnicodeDecodeError:
        raise BadJson("the text is not UTF-8") from None
    if not decoded.lstrip().startswith("{"):
        raise BadJson("it must be an object")  # the parser takes an empty list for an empty message
    try:
        json_format.Parse(decoded, message, max_recursion_depth=limits.depth + 1)
    except json_format.ParseError as error:
        raise BadJson(_one_line(str(error))) from None
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        # The parser converts most values without checks, and passes on what Python raises.
        raise BadJson(_one_line(f"a value has the wrong type or range: {error}")) from None
    return message


def check_shape(text: bytes, limits: WebLimits) -> None:
    """Check depth and number of values without parsing. Raises BadJson."""
    depth, values = 0, 1
    for token in _TOKEN.finditer(text):
        match token[0]:
            case b"{" | b"[":
                depth, values = depth + 1, values + 1
                if depth > limits.depth:
                    raise BadJson(f"objects and lists are nested more than {limits.depth} deep")
            case b"}" | b"]":
                depth -= 1
            case b",":
                values += 1
        if values > limits.values:
            raise BadJson(f"there are more than {limits.values} values")


def to_json(message: Message) -> Any:
    """The message as values for `json.dumps`."""
    return json_format.MessageToDict(message)


def format_message(message: Message) -> str:
    """The message as ProtoJSON, in one line."""
    return compact(to_json(message))


def compact(value: object) -> str:
    """JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _one_line(text: str) -> str:
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _MAX_PROBLEM_CHARS else text[: _MAX_PROBLEM_CHARS - 1] + "…"
