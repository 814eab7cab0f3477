"""A form as entries that can be asked one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from askback._model.json_text import dumps
from askback._model.prompts import PromptInfo
from askback.v1 import prompt_pb2 as pb


class Kind(StrEnum):
    """How a field is asked."""

    BOOLEAN = "boolean"
    SINGLE = "single"
    MULTI = "multi"
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    LIST = "list"
    """Several values of `Field.item`, on one line or on lines of their own."""
    PAIRS = "pairs"
    """Values of `Field.item` by name: NAME=VALUE."""
    JSON = "json"
    """As JSON text: whatever has no simpler form."""


NOTHING: Final = object()
"""No value: not even null."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that is offered; an empty title means the value itself."""

    value: Any
    title: str = ""
    description: str = ""
    recommended: bool = False

    @property
    def label(self) -> str:
        """What people see."""
        if self.title:
            return self.title
        return self.value if isinstance(self.value, str) else dumps(self.value, spaced=True)


@dataclass(frozen=True, slots=True)
class Bounds:
    """From `low` to `high`, both allowed unless they are open; None: no bound."""

    low: Any = None
    high: Any = None
    low_open: bool = False
    high_open: bool = False

    def hold(self, value: Any) -> bool:
        """Whether the value lies between."""
        if self.low is not None and (value < self.low or (self.low_open and value == self.low)):
            return False
        return not (self.high is not None and (value > self.high or (self.high_open and value == self.high)))

    def __str__(self) -> str:
        words = []
        if self.low is not None:
            words.append(f"{'more than' if self.low_open else 'at least'} {self.low}")
        if self.high is not None:
            words.append(f"{'less than' if self.high_open else 'at most'} {self.high}")
        return " and ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What all entries of a form have: where the value goes, and what it is called.

    `path` is that from the form's values, or from the value of the list or union that the entry is part of.
    `default` is what the asker suggests.
    """

    path: tuple[str, ...]
    title: str
    help: str = ""
    required: bool = False
    nullable: bool = False
    default: Any = NOTHING

    @property
    def name(self) -> str:
        """Its name on the command line and in messages."""
        return ".".join(self.path)

    @property
    def key(self) -> str:
        """Its name within the object that it is part of; empty for a form that is one value."""
        return self.path[-1] if self.path else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Part):
    """One value that is typed.

    `bounds` are of the value; of a text the number of characters, of several values their number.
    """

    kind: Kind
    rationale: str = ""
    choices: tuple[Choice, ...] = ()
    allow_other: bool = False
    bounds: Bounds = Bounds()
    pattern: str = ""
    multiline: bool = False
    format: str = ""
    """Of a text: its JSON Schema `format`; see `formats`."""
    secret: bool = False
    """Not shown while it is typed, and nowhere after."""
    item: Field | None = None
    """Of a LIST or PAIRS: one of the values."""
    unique: bool = False
    example: str = ""
    """Of a JSON field: a value that would fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Part):
    """Fields that belong together: an object, or a list with fixed places (`sequence`).

    An optional one may be left out whole.
    """

    fields: tuple[Entry, ...] = ()
    fixed: tuple[tuple[str, Any], ...] = ()
    """Values that the schema leaves no choice about, such as the tag of a union: never asked."""
    sequence: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Items(Part):
    """Any number of objects, lists or unions, edited one by one; `keyed`: each has a name of its own."""

    item: Entry
    bounds: Bounds = Bounds()
    unique: bool = False
    keyed: bool = False
    names: tuple[Choice, ...] = ()
    """Of keyed items: the names there may be; empty for any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variants(Part):
    """A value of one of several kinds: the kind is chosen first."""

    variants: tuple[Entry, ...]


Entry = Field | Group | Items | Variants


def entries(prompt: PromptInfo) -> tuple[Entry, ...]:
    """The prompt's form; empty if it has none. A form that cannot be shown is one JSON field."""
    if prompt.questions:
        return tuple(_of_question(question) for question in prompt.questions)
    from askback.terminal.schema_fields import of_schema

    try:
        schema = prompt.schema
    except ValueError:
        schema = {}
    return () if schema is None else of_schema(schema)


def flat(form: tuple[Entry, ...]) -> Iterator[Entry]:
    """All entries that have a name of their own on the command line: those of objects, and no objects."""
    for entry in form:
        if isinstance(entry, Group) and not entry.sequence:
            yield from flat(entry.fields)
        else:
            yield entry


def _of_question(question: pb.Question) -> Field:
    name = question.WhichOneof("input")
    kind = Kind(name) if name else Kind.JSON  # a newer server's type
    given: dict[str, Any] = {}
    asked: Any = getattr(question, name) if name else None
    if kind in (Kind.SINGLE, Kind.MULTI):
        given["choices"] = tuple(
            Choice(o.value, o.title, o.description, o.recommended) for o in asked.options
        )
        given["allow_other"] = asked.allow_other
    if kind is Kind.MULTI:
        given["bounds"] = Bounds(_of(asked, "min_items"), _of(asked, "max_items"))
        if asked.default_values:
            given["default"] = list(asked.default_values)
    elif asked is not None and asked.HasField("default_value"):
        given["default"] = asked.default_value
    if kind is Kind.TEXT:
        given["bounds"] = Bounds(_of(asked, "min_length"), _of(asked, "max_length"))
        given |= {"pattern": asked.pattern, "multiline": asked.multiline}
    elif kind in (Kind.INTEGER, Kind.NUMBER):
        given["bounds"] = Bounds(_of(asked, "minimum"), _of(asked, "maximum"))
    elif kind is Kind.DATE:
        given["bounds"] = Bounds(asked.minimum or None, asked.maximum or None)
    return Field(
        path=(question.question_id,),
        kind=kind,
        title=question.title,
        help=question.help,
        rationale=question.rationale,
        required=question.required,
        **given,
    )


def _of(message: Any, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None
