"""ProtoJSON: parses text into messages of the contract within limits, and formats messages.

An int64 is a string in JSON, names are lowerCamelCase, and fields with their default value are left out. A
field that the message does not have is refused, so that a misspelt one is not dropped without a sign.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2
from askback.web.settings import WebLimits

M = TypeVar("M", bound=Message)
# Possessive, so that a text without its end is read once and not again from each place in it.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]|,', re.DOTALL)
MAX_CACHED_BYTES = 16 * 1024
"""Maximum size of a prompt whose JSON is cached."""
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
    return message


def check_shape(text: bytes, limits: WebLimits) -> None:
    """Check depth and number of values without parsing. Raises BadJson."""
    depth, values, texts = 0, 1, 0
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
            case _:
                texts += 1
        if values > limits.values or texts > 2 * limits.values:  # each member has a name and a value
            raise BadJson(f"there are more than {limits.values} values")


def to_json(message: Message) -> Any:
    """The message as values for `json.dumps`."""
    return json_format.MessageToDict(message)


def format_message(message: Message) -> str:
    """The message as ProtoJSON, in one line."""
    return compact(to_json(message))


def format_events(message: hitl.ConverseResponse) -> str:
    """A message of Converse as ProtoJSON. A prompt that goes to many pages is formatted once."""
    return f'{{"frames":[{",".join(map(_format_frame, message.frames))}]}}'


def _format_frame(frame: hitl.ConverseServerFrame) -> str:
    if frame.WhichOneof("body") == "prompt_event" and not frame.ref:
        event = frame.prompt_event
        if event.WhichOneof("event") == "upserted":
            raw = event.upserted.prompt.SerializeToString(deterministic=True)
            if len(raw) <= MAX_CACHED_BYTES:
                return f'{{"promptEvent":{{"upserted":{{"prompt":{_format_prompt(raw)}}}}}}}'
    return format_message(frame)


@lru_cache(maxsize=512)
def _format_prompt(raw: bytes) -> str:
    """The JSON of a serialised prompt. Its id and version would not do: a restored database repeats them."""
    return format_message(prompt_pb2.Prompt.FromString(raw))


def compact(value: object) -> str:
    """JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _one_line(text: str) -> str:
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _MAX_PROBLEM_CHARS else text[: _MAX_PROBLEM_CHARS - 1] + "…"
