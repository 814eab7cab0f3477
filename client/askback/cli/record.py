"""Messages of the contract as JSON objects for `--json`.

The format is ProtoJSON (camelCase names, RFC 3339 times, durations as "3.5s", without empty fields) with
changes that make scripts simpler: enums have no prefix (`PENDING`), 64-bit integers are numbers, and a
field of JSON text is parsed, under its name without `Json` (`input`, `values`), with all digits of its
numbers. An answer that the deadline's default gave has `"byDefault": true`.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from askback._model.json_text import loads_spelled
from askback.v1 import prompt_pb2

_TIMES = ("google.protobuf.Timestamp", "google.protobuf.Duration")


def record(message: Message) -> dict[str, Any]:
    """The message as a JSON object."""
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            found[field.camelcase_name] = dict(sorted(value.items()))
        elif field.type == FieldDescriptor.TYPE_STRING and field.name.endswith("_json"):
            try:
                found[field.camelcase_name.removesuffix("Json")] = loads_spelled(value)
            except (ValueError, RecursionError):  # an answer that was refused because of this text
                found[field.camelcase_name] = value
        elif not isinstance(value, Message | str | bytes | int | float):
            found[field.camelcase_name] = [_plain(field, item) for item in value]
        else:
            found[field.camelcase_name] = _plain(field, value)
    if isinstance(message, prompt_pb2.Answer) and message.source == prompt_pb2.ANSWER_SOURCE_TIMEOUT_DEFAULT:
        found["byDefault"] = True
    return found


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return value.ToJsonString() if field.message_type.full_name in _TIMES else record(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name.removeprefix(_prefix(field.enum_type.name)) if known else value
    return value


def _prefix(enum: str) -> str:
    """The prefix of an enum's values: JOB_STATE_ for JobState."""
    return "".join(f"_{c}" if c.isupper() else c.upper() for c in enum).removeprefix("_") + "_"
