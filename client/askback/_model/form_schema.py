"""JSON Schemas of Python types for people's forms; pydantic's own schemas are made for programs."""

from __future__ import annotations

import inspect
from enum import Enum
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

_CLOCK = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?$"


class FormSchema(GenerateJsonSchema):
    """A schema generator that differs from pydantic's in these points:

    - Docstrings of classes are for programmers and are left out; `Field(description=…)` is for people.
    - Members of an enum get titles if they have a `label` (as Django's choices do), or if their names say
      more than their values.
    - A `time` needs no offset, a naive datetime is refused, and a Decimal is marked as one.
    - None in a Literal makes the field optional, as None in a union does.
    """

    def generate_inner(self, schema: Any) -> JsonSchemaValue:
        """The schema of any part, without the docstring of its class."""
        found = super().generate_inner(schema)
        if isinstance(of := schema.get("cls"), type) and of.__doc__:
            target = self.get_schema_from_definitions(found["$ref"]) if "$ref" in found else found
            if target and target.get("description") == inspect.cleandoc(of.__doc__):
                del target["description"]
        return found

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        """The values, with titles if there are any."""
        found = super().enum_schema(schema)
        titles = _titles(schema["members"])
        if titles:
            values = found.pop("enum")
            found["oneOf"] = [
                {"const": value, **({"title": title} if title else {})}
                for value, title in zip(values, titles, strict=True)
            ]
        return found

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        """The values. Raises TypeError for members of an enum that pydantic does not find by their values."""
        values = schema["expected"]
        for value in values:
            if isinstance(value, Enum) and not isinstance(value, str | int):
                raise TypeError(
                    f"an answer cannot be read as Literal[{value}]; ask for the enum, or for a Literal of "
                    "its members' values, or make it a StrEnum"
                )
        rest = [value for value in values if value is not None]
        if not rest or len(rest) == len(values):
            return super().literal_schema(schema)
        return {"anyOf": [super().literal_schema({**schema, "expected": rest}), {"type": "null"}]}

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        """A number, or a text with its digits: as a text it keeps them in every program."""
        found = super().decimal_schema(schema)
        for branch in found.get("anyOf", ()):
            if branch.get("type") == "string":
                branch["format"] = "decimal"
                branch.pop("pattern", None)  # it uses lookahead, which some regex engines lack
        return found

    def time_schema(self, schema: core_schema.TimeSchema) -> JsonSchemaValue:
        """A time of day without an offset: the format `time` of JSON Schema requires one."""
        return {"type": "string", "format": "time-local", "pattern": _CLOCK}

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        """A point in time with its offset. Raises TypeError for a datetime type that forbids an offset."""
        if schema.get("tz_constraint") == "naive":
            raise TypeError(
                "a datetime without a time zone is no point in time; use datetime or AwareDatetime"
            )
        return super().datetime_schema(schema)


def _titles(members: list[Any]) -> list[str]:
    """A title for each member; an empty list if the values are clear enough, or the titles are ambiguous."""
    enums = [member for member in members if isinstance(member, Enum)]
    titles = [_title(member) for member in enums]
    if len(enums) != len(members) or not any(titles):
        return []
    values = [str(member.value).casefold() for member in enums]
    shown = [title.casefold() or value for title, value in zip(titles, values, strict=True)]
    clear = all(
        title not in shown[:n] + shown[n + 1 :] + values[:n] + values[n + 1 :]
        for n, title in enumerate(shown)
    )
    return titles if clear else []


def _title(member: Enum) -> str:
    """The member's label, or what its name adds to its value; empty if the value says it all.

    A name never hides a value that says more: `EU = "production-eu"` is shown as its value.
    """
    label = getattr(member, "label", None)
    if isinstance(label, str):
        return label
    value = str(member.value)
    in_name, in_value = _words(member.name), _words(value)
    name = " ".join(member.name.replace("_", " ").split()).capitalize()
    if _is_short_for("".join(in_name), in_value):
        return ""
    if not any(map(str.isalpha, value)) or _is_short_for("".join(in_value), in_name):
        return name
    return f"{name} ({value})"


def _words(text: str) -> list[str]:
    return "".join(char if char.isalnum() else " " for char in text.casefold()).split()


def _is_short_for(text: str, words: list[str]) -> bool:
    """Whether a text consists of the beginnings of words, in their order: `usd` of US dollar."""
    ends = {0}
    for word in words:
        ends |= {end + n for end in ends for n in range(1, len(word) + 1) if text.startswith(word[:n], end)}
    return len(text) in ends


def secret_in(schema: Any) -> bool:
    """Whether a schema asks for a secret anywhere, as pydantic's secret strings do."""
    if isinstance(schema, dict):
        if schema.get("format") == "password" or schema.get("writeOnly") is True:
            return True
        return any(
            secret_in(value) for key, value in schema.items() if key not in ("const", "enum", "default")
        )
    return isinstance(schema, list) and any(map(secret_in, schema))
