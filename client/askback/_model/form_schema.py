"""JSON Schemas of Python types as forms need them, where pydantic's are made for programs."""

from __future__ import annotations

import inspect
from enum import Enum
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

_CLOCK = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?$"


class FormSchema(GenerateJsonSchema):
    """What differs from pydantic's own:

    - Docstrings of classes are for programmers and are left out; `Field(description=…)` is for people.
    - The members of an enum have titles where they have a `label` (as Django's choices do), or where their
      values say less than their names.
    - A `time` needs no offset, a naive datetime has no form, and a Decimal is marked as one.
    - None in a Literal may be left out, as None in a union.
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
        """The values, with titles where they have some."""
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
        """A number, or its digits as a text, which no program can lose."""
        found = super().decimal_schema(schema)
        for branch in found.get("anyOf", ()):
            if branch.get("type") == "string":
                branch["format"] = "decimal"
                branch.pop("pattern", None)  # it looks ahead, which not every engine can
        return found

    def time_schema(self, schema: core_schema.TimeSchema) -> JsonSchemaValue:
        """JSON Schema's own `time` wants an offset, which a time of day seldom has."""
        return {"type": "string", "format": "time-local", "pattern": _CLOCK}

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        """A point in time, with its offset. Raises TypeError for a datetime that must have none."""
        if schema.get("tz_constraint") == "naive":
            raise TypeError(
                "a datetime without a time zone is no point in time; use datetime or AwareDatetime"
            )
        return super().datetime_schema(schema)


def _titles(members: list[Any]) -> list[str]:
    """A title for each member; an empty list if the values say it all."""
    enums = [member for member in members if isinstance(member, Enum)]
    titles = [_title(member) for member in enums]
    if len(enums) != len(members) or not any(titles):
        return []
    values = [str(member.value).casefold() for member in enums]
    told = [title.casefold() or value for title, value in zip(titles, values, strict=True)]
    clear = all(
        title not in told[:n] + told[n + 1 :] + values[:n] + values[n + 1 :] for n, title in enumerate(told)
    )
    return titles if clear else []


def _title(member: Enum) -> str:
    label = getattr(member, "label", None)
    if isinstance(label, str):
        return label
    name = member.name.replace("_", " ").strip()
    said = str(member.value).replace("_", " ").replace("-", " ").strip()
    return "" if said.casefold() == name.casefold() else name.capitalize()


def secret_in(schema: Any) -> bool:
    """Whether a schema asks for a secret anywhere, as `SecretStr` does."""
    if isinstance(schema, dict):
        if schema.get("format") == "password" or schema.get("writeOnly") is True:
            return True
        return any(
            secret_in(value) for key, value in schema.items() if key not in ("const", "enum", "default")
        )
    return isinstance(schema, list) and any(map(secret_in, schema))
