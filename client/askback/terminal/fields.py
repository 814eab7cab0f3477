"""A form as a tree of entries, which are asked one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeGuard

from askback._model.json_text import dumps


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
    """Several values of the kind `Field.item`, on one line or one on each line."""
    PAIRS = "pairs"
    """Values of the kind `Field.item` by name: NAME=VALUE."""
    JSON = "json"
    """JSON text, for values that have no simpler form."""


NOTHING: Final = object()
"""The absence of a value; null is a value."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values to choose from; without a title, people see the value."""

    value: Any
    title: str = ""
    description: str = ""
    recommended: bool = False

    @property
    def label(self) -> str:
        """The text that people see for the value."""
        if self.title:
            return self.title
        return self.value if isinstance(self.value, str) else dumps(self.value, spaced=True)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The interval from `low` to `high`; an open bound is excluded from it, None stands for no bound."""

    low: Any = None
    high: Any = None
    low_open: bool = False
    high_open: bool = False

    def hold(self, value: Any) -> bool:
        """Whether the value lies within the bounds. Raises TypeError for a value of another type."""
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
    """The fields that all entries of a form share: where the value goes, its title, its default.

    `path` starts at the form's values, or at the value of the list or union that the entry belongs to.
    `default` is the value that the asker suggests.
    """

    path: tuple[str, ...]
    title: str
    help: str = ""
    required: bool = False
    nullable: bool = False
    default: Any = NOTHING
    conditional: bool = False
    """Whether some values of the group hide the entry."""
    faults: tuple[str, ...] = ()
    """Why the job did not accept the value before, if it asks again."""

    @property
    def name(self) -> str:
        """The entry's name on the command line and in messages, such as `address.city`."""
        return ".".join(self.path)

    @property
    def key(self) -> str:
        """The entry's name within its object; empty for a form that is a single value."""
        return self.path[-1] if self.path else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Part):
    """One value that is typed.

    `bounds` limit the value itself; for a text the number of characters, for a list the number of values.
    """

    kind: Kind
    rationale: str = ""
    choices: tuple[Choice, ...] = ()
    allow_other: bool = False
    bounds: Bounds = Bounds()
    pattern: str = ""
    multiline: bool = False
    format: str = ""
    """For a text: its JSON Schema `format`, see `askback.terminal.formats`."""
    secret: bool = False
    """Whether the value is hidden, while it is typed and later."""
    item: Field | None = None
    """For LIST and PAIRS: the field of one value."""
    unique: bool = False
    example: str = ""
    """For a JSON field: a value that fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Part):
    """Entries that belong together: an object, or a list of fixed length (`sequence`).

    An optional group can be left out as a whole.
    """

    fields: tuple[Entry, ...] = ()
    """All entries, also those that depend on a condition."""
    fixed: tuple[tuple[str, Any], ...] = ()
    """Constants of the schema, such as the tag of a union: sent, but never asked for."""
    sequence: bool = False
    choose: Callable[[Mapping[str, Any]], tuple[Entry, ...]] | None = field(default=None, compare=False)
    """The entries that an object's values show; None if they are always all `fields`."""

    def fields_for(self, value: Any) -> tuple[Entry, ...]:
        """The entries that are shown for a value of the group."""
        if self.choose is None:
            return self.fields
        return self.choose(value if isinstance(value, Mapping) else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Items(Part):
    """Any number of objects, lists or unions, edited one by one; with `keyed` they have names."""

    item: Entry
    bounds: Bounds = Bounds()
    unique: bool = False
    keyed: bool = False
    names: tuple[Choice, ...] = ()
    """For keyed items: the allowed names; empty if any name is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variants(Part):
    """A union: the person chooses the kind of value first."""

    variants: tuple[Entry, ...]


Entry = Field | Group | Items | Variants


def top_entries(form: Entry | None) -> tuple[Entry, ...]:
    """The entries at the top of a form: the fields of an object, or the single entry of any other form."""
    if form is None:
        return ()
    return form.fields if is_object(form) else (form,)


def is_object(entry: Entry | None) -> TypeGuard[Group]:
    """Whether the entry is an object with fields."""
    return isinstance(entry, Group) and not entry.sequence


def flat(form: Entry | None) -> Iterator[Entry]:
    """The entries that FIELD=VALUE can name: an object is replaced by its entries."""
    for entry in top_entries(form):
        if is_object(entry):
            yield from flat(entry)
        else:
            yield entry
