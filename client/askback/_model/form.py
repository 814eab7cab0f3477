"""Forms: a Python type, a JSON Schema or a list of questions, and the conversion of their values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from askback._model.form_schema import FormSchema, secret_in
from askback._model.json_text import dumps, fit, loads, loads_spelled
from askback._model.nonretryable import InvalidValue
from askback._model.schema import NULLABLE, Step, flatten, steps_to, without_nulls
from askback.v1 import prompt_pb2 as pb

VALUE = "value"
"""The property that holds a primitive, an enum or a list: values are always a JSON object."""


class Form(Protocol):
    """A form that people fill in."""

    def fill(self, content: pb.PromptContent) -> None:
        """Put the form into a prompt's content."""

    def parse(self, values_json: str) -> Any:
        """Convert values to what the worker's function receives. Raises ValueError if they do not fit."""

    def dump(self, value: Any) -> str:
        """Convert a Python value to the form's values. Raises InvalidValue for one that does not fit."""


@dataclass(frozen=True, slots=True)
class TypeForm:
    """The form of a Python type: a model, dataclass, enum, list, number, text …"""

    adapter: TypeAdapter[Any]
    schema_json: str
    wrapped: bool
    nullable: frozenset[str]
    """Fields without a default that may be None: people leave them empty."""

    @classmethod
    def of(cls, type_: Any, title: str) -> TypeForm:
        """Build the form of a type; `title` is the title of the only field of a primitive.

        Raises TypeError for a type that has no form, such as a recursive one.
        """
        adapter: TypeAdapter[Any] = TypeAdapter(type_)
        try:
            schema = flatten(adapter.json_schema(schema_generator=FormSchema))
        except Exception as error:
            raise TypeError(f"{type_!r} cannot be asked for: {error}") from error
        if secret_in(schema):
            raise TypeError(
                f"{type_!r} asks for a secret: answers are stored in plain and shown. "
                "Ask where the secret is kept, or for a confirmation that it is in place"
            )
        wrapped = schema.get("type") != "object" or NULLABLE in schema
        nullable: frozenset[str] = frozenset()
        if wrapped:
            inner = {**schema, "title": title}
            schema = {
                "type": "object",
                "properties": {VALUE: inner},
                "required": [] if NULLABLE in schema else [VALUE],
                "additionalProperties": False,
            }
        elif not schema.get("properties"):
            schema["title"] = title
        else:
            nullable = frozenset(
                name
                for name, item in schema.get("properties", {}).items()
                if item.pop(NULLABLE, False) and name in schema.get("required", ())
            )
            if nullable:
                schema["required"] = [name for name in schema["required"] if name not in nullable]
        return cls(adapter, _text(_drop_marks(schema)), wrapped, nullable)

    def fill(self, content: pb.PromptContent) -> None:
        """Put the schema into a prompt's content."""
        content.schema_json = self.schema_json

    def parse(self, values_json: str) -> Any:
        """An instance of the type. Raises pydantic.ValidationError, a ValueError."""
        values = loads_spelled(values_json or "{}")
        if self.wrapped:
            return fit(self.adapter, values.get(VALUE))
        for name in self.nullable:
            values.setdefault(name, None)
        return fit(self.adapter, values)

    def dump(self, value: Any) -> str:
        """The JSON object of an instance, or of a value that pydantic converts to one: a dict for a model, a
        text for an enum. None is left out. Raises InvalidValue for a value that does not fit the type."""
        try:
            plain = self._plain(value)
        except PydanticSerializationError:  # not an instance yet
            try:
                plain = self._plain(self.adapter.validate_python(value))
            except ValidationError as error:
                raise InvalidValue(f"{value!r:.100} does not fit the form: {_first_fault(error)}") from None
        if self.wrapped:
            plain = {} if plain is None else {VALUE: plain}
        return _text(without_nulls(plain, json.loads(self.schema_json)))

    def steps_to(self, place: Sequence[int | str], values_json: str) -> list[Step]:
        """The steps to a place that `parse` names in its error, in the values that it was given."""
        whole = [VALUE, *place] if self.wrapped else place
        return list(steps_to(whole, json.loads(self.schema_json), loads(values_json or "{}")))

    def _plain(self, value: Any) -> Any:
        return self.adapter.dump_python(value, mode="json", by_alias=True, round_trip=True, warnings="error")


@dataclass(frozen=True, slots=True)
class SchemaForm:
    """The form of a JSON Schema of type object; the answer is a dict."""

    schema_json: str

    def fill(self, content: pb.PromptContent) -> None:
        """Put the schema into a prompt's content."""
        content.schema_json = self.schema_json

    def parse(self, values_json: str) -> Any:
        """The values as a dict."""
        return loads(values_json or "{}")

    def dump(self, value: Any) -> str:
        """The dict as JSON text."""
        return dumps(value)


@dataclass(frozen=True, slots=True)
class QuestionsForm:
    """The form of the contract's questions; the answer is a dict by question id."""

    questions: tuple[pb.Question, ...]

    def fill(self, content: pb.PromptContent) -> None:
        """Put the questions into a prompt's content."""
        content.questions.questions.extend(self.questions)

    def parse(self, values_json: str) -> Any:
        """The values as a dict."""
        return loads(values_json or "{}")

    def dump(self, value: Any) -> str:
        """The dict as JSON text."""
        return dumps(value)


def form_of(form: Any, title: str) -> Form:
    """The form of a type, a JSON Schema (mapping) or questions (sequence). Raises TypeError."""
    if isinstance(form, TypeForm | SchemaForm | QuestionsForm):
        return form
    if isinstance(form, Mapping):
        return SchemaForm(_text(form))
    if isinstance(form, Sequence) and not isinstance(form, str):
        return QuestionsForm(tuple(form))
    return TypeForm.of(form, title)


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, fault["loc"]))
    return f"{place}: {fault['msg']}" if place else fault["msg"]


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _drop_marks(node: Any) -> Any:
    """The schema without the NULLABLE marks of `flatten`."""
    if isinstance(node, dict):
        return {key: _drop_marks(value) for key, value in node.items() if key != NULLABLE}
    return [_drop_marks(item) for item in node] if isinstance(node, list) else node
