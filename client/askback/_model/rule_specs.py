"""What a rule says, between a mapping (of a program, a TOML or a JSON file) and the contract's message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from askback._model import brief
from askback._model.json_text import dumps, loads
from askback._model.times import duration, moment, timestamp
from askback.v1 import rule_pb2 as pb

_TIME: Final = "google.protobuf.Timestamp"
_SPAN: Final = "google.protobuf.Duration"


class RuleSpec:
    """What a rule says: for which questions it is, and what it does with them.

        RuleSpec({
            "name": "list files",
            "reason": "it only reads",
            "match": {"kinds": ["confirm"], "expression": 'metadata.tool == "ls"'},
            "answer": {"decision": "ACCEPT"},
            "matching": [{"content": {"kind": "confirm", "title": "ls?", "metadata": {"tool": "ls"}}}],
            "not_matching": [{"content": {"kind": "confirm", "title": "rm?", "metadata": {"tool": "rm"}}}],
        })

    The names are those of the message RuleSpec, where fields of JSON text are objects without `_json`, enums
    have no prefix, a duration is a timedelta or a number of seconds, and a time is an aware datetime or a
    text of RFC 3339. Files of the command line have the same names. `proto` is the contract's message.
    """

    def __init__(self, fields: Mapping[str, Any] | pb.RuleSpec) -> None:
        """Raises ValueError with the name of a field that does not exist, or whose value does not fit."""
        if isinstance(fields, pb.RuleSpec):
            self.proto = fields
        else:
            self.proto = pb.RuleSpec()
            plain = _to_json(pb.RuleSpec.DESCRIPTOR, fields, "")
            try:
                json_format.ParseDict(plain, self.proto)
            except json_format.ParseError as error:
                raise ValueError(str(error)) from None

    def __repr__(self) -> str:
        return f"<RuleSpec {self.effect} {brief.short(self.name)}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RuleSpec) and self.proto == other.proto

    __hash__ = None  # type: ignore[assignment]

    @property
    def name(self) -> str:
        """The name for people."""
        return self.proto.name

    @property
    def reason(self) -> str:
        """Why the rule exists."""
        return self.proto.reason

    @property
    def effect(self) -> str:
        """`answer`, `refuse`, `ask` or `route`; empty if there is none yet."""
        return self.proto.WhichOneof("effect") or ""

    @property
    def expires_at(self) -> datetime | None:
        """When it ends; None: 30 days after it is saved."""
        return moment(self.proto, "expire_time")

    @property
    def max_uses(self) -> int:
        """How many questions it may decide or route; 0: no limit."""
        return self.proto.max_uses

    def fields(self) -> dict[str, Any]:
        """The mapping from which an equal spec is made, without empty fields."""
        return _fields(self.proto)


def spec_message(spec: RuleSpec | Mapping[str, Any]) -> pb.RuleSpec:
    """The contract's message for a spec or a mapping. Raises ValueError."""
    return (spec if isinstance(spec, RuleSpec) else RuleSpec(spec)).proto


def _to_json(descriptor: Descriptor, fields: Any, path: str) -> dict[str, Any]:
    """The fields as ProtoJSON. Raises ValueError."""
    if not isinstance(fields, Mapping):
        raise ValueError(f"{path.rstrip('.') or 'a rule'} must be an object, not {fields!r}")
    by_name: dict[str, FieldDescriptor] = {}
    for each in descriptor.fields:
        by_name |= {each.name: each, each.camelcase_name: each}
    found: dict[str, Any] = {}
    for name, value in fields.items():
        field, here = by_name.get(name), f"{path}{name}"
        if field is not None:
            found[field.name] = _value(field, value, here)
        elif (field := by_name.get(f"{name}_json")) is not None:
            found[field.name] = dumps(value)
        else:
            raise ValueError(f"a rule has no field {here!r}")
    return found


def _value(field: FieldDescriptor, value: Any, path: str) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return value
    if field.is_repeated:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ValueError(f"{path} must be a list, not {value!r}")
        return [_single(field, each, f"{path}[{index}]") for index, each in enumerate(value)]
    return _single(field, value, path)


def _single(field: FieldDescriptor, value: Any, path: str) -> Any:
    if field.enum_type is not None and isinstance(value, str):
        prefix = _prefix(field.enum_type.name)
        name = value.upper() if value.upper().startswith(prefix) else f"{prefix}{value.upper()}"
        if name not in field.enum_type.values_by_name:
            raise ValueError(f"{path}: {value!r} is not one of {', '.join(_words(field))}")
        return name
    if field.message_type is None:
        return value
    if field.message_type.full_name == _TIME:
        return timestamp(value, path).ToJsonString() if isinstance(value, datetime) else value
    if field.message_type.full_name == _SPAN:
        is_span = isinstance(value, timedelta | int | float)
        return duration(value, path).ToJsonString() if is_span else value
    return _to_json(field.message_type, value, f"{path}.")


def _words(field: FieldDescriptor) -> list[str]:
    assert field.enum_type is not None
    prefix = _prefix(field.enum_type.name)
    names = (each.name for each in field.enum_type.values if each.number)
    return [name.removeprefix(prefix) for name in names]


def _prefix(enum: str) -> str:
    """The prefix of an enum's values: FINAL_ACTION_ for FinalAction."""
    return "".join(f"_{c}" if c.isupper() else c.upper() for c in enum).removeprefix("_") + "_"


def _fields(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            found[field.name] = dict(sorted(value.items()))
        elif field.is_repeated:
            found[field.name] = [_plain(field, each) for each in value]
        elif field.name.endswith("_json"):
            found[field.name.removesuffix("_json")] = loads(value)
        else:
            found[field.name] = _plain(field, value)
    return found


def _plain(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name.removeprefix(_prefix(field.enum_type.name)) if known else value
    if field.message_type is None:
        return value
    if field.message_type.full_name in (_TIME, _SPAN):
        return value.ToJsonString()
    return _fields(value)
