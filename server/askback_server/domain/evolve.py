"""Frozen dataclasses on the hot path: fast constructors and copies, cached values, their fields.

Constructors and copies write the instance dictionary in one step, where `dataclass` and
`dataclasses.replace` set one frozen field after the other. They are for frozen dataclasses without
`__post_init__`. `evolve` is for those without slots, and refuses others. The dictionary may also hold
cached values (of a `cached_property`, or of a function marked with `cached_on_argument`); `evolve` does not
copy those.

Field values are `Any` here, because the functions serve all classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import cache, wraps
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = [
    "cached_on_argument",
    "cached_property",
    "complete",
    "evolve",
    "fast_init",
    "fields_of",
    "from_fields",
]

T = TypeVar("T")
V = TypeVar("V")
_new = object.__new__
_set = object.__setattr__


def fast_init(cls: type[T]) -> type[T]:
    """Class decorator: replace the constructor of a frozen dataclass by an equivalent one that is faster.

    For a prompt it takes a fifth of the time. A class with slots is then frozen for type checkers only: of
    its constructor, four fifths are calls that circumvent `__setattr__`. Raises TypeError for a class with
    `__post_init__`.
    """
    if hasattr(cls, "__post_init__"):
        raise TypeError(f"{cls.__name__} must not have __post_init__")
    scope: dict[str, Any] = {"_set": _set}
    parameters: list[str] = []
    keywords: list[str] = []
    values: dict[str, str] = {}
    for field in fields(cls):  # type: ignore[arg-type]
        name = value = parameter = field.name
        if field.default_factory is not MISSING:
            scope[f"_make_{name}"], scope["_missing"] = field.default_factory, MISSING
            parameter = f"{name}=_missing"
            value = f"_make_{name}() if {name} is _missing else {name}"
        elif field.default is not MISSING:
            scope[f"_default_{name}"] = field.default
            parameter = f"{name}=_default_{name}"
        (keywords if field.kw_only else parameters).append(parameter)
        values[name] = value
    if keywords:
        parameters += ["*", *keywords]
    if "__slots__" in cls.__dict__:
        cls.__setattr__, cls.__delattr__ = _set, object.__delattr__  # type: ignore[method-assign]
        body = "; ".join(f"self.{name} = {value}" for name, value in values.items()) or "pass"
    else:
        items = ", ".join(f"{name!r}: {value}" for name, value in values.items())
        body = f"_set(self, '__dict__', {{{items}}})"
    exec(f"def __init__(self, {', '.join(parameters)}): {body}", scope)  # noqa: S102 - of names of our fields
    scope["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = scope["__init__"]  # type: ignore[method-assign]
    return cls


def from_fields(cls: type[T], values: dict[str, Any]) -> T:
    """An instance with `values` as its dictionary: all fields, and then cached values that are known.

    Nothing is checked or copied; the caller must not use the dictionary afterwards.
    """
    new = _new(cls)
    _set(new, "__dict__", values)
    return new


def complete(value: object, **fields: Any) -> None:
    """Set fields of an image that its maker has not given away yet, and that only the maker knows."""
    value.__dict__.update(fields)


_names: dict[type, frozenset[str]] = {}
"""The field names of each class that `evolve` has seen."""

if TYPE_CHECKING:
    # Same signatures: mypy knows them, and checks the names and types of the changes.
    from dataclasses import replace as evolve
    from functools import cached_property
else:

    class cached_property:  # noqa: N801 - in place of that of functools, which takes a lock
        """A property that is computed once for each object, and kept in its dictionary."""

        def __init__(self, compute: Callable[[T], V]) -> None:
            self._compute = compute
            self.__doc__ = compute.__doc__

        def __set_name__(self, owner: type, name: str) -> None:
            self._name = name

        def __get__(self, value: T | None, owner: type) -> V:
            if value is None:
                return self
            found = value.__dict__[self._name] = self._compute(value)
            return found

    def evolve(value: T, /, **changes: Any) -> T:
        """A copy with some fields changed. Raises TypeError for a name that is not a field."""
        cls = value.__class__
        names = _names.get(cls) or _field_names(cls)
        values = value.__dict__ | changes
        while len(values) > len(names):
            name = values.popitem()[0]  # cached values come after the fields
            if name in changes or name in names:
                raise TypeError(f"{cls.__name__} has no field {name}, or its fields are not first")
        return from_fields(cls, values)


def _field_names(cls: type) -> frozenset[str]:
    if not cls.__dataclass_params__.frozen or hasattr(cls, "__post_init__") or hasattr(cls, "__slots__"):  # type: ignore[attr-defined]
        raise TypeError(f"{cls.__name__} must be a frozen dataclass without __slots__ and __post_init__")
    return _names.setdefault(cls, frozenset(field.name for field in fields(cls)))


def cached_on_argument(function: Callable[[T], V]) -> Callable[[T], V]:
    """Decorator: compute the function once per argument, and keep the result in the argument's dictionary.

    It is a `cached_property` for functions that live outside the class.
    """
    key = f"{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def cached(value: T) -> V:
        values = value.__dict__
        if key not in values:
            values[key] = function(value)
        result: V = values[key]
        return result

    return cached


def fields_of(value: Any) -> dict[str, Any]:
    """A dataclass's fields by name, without the deep copy that `asdict` makes."""
    names, read = _reader(value.__class__)
    return dict(zip(names, read(value), strict=True))


@cache
def _reader(cls: Any) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """The names of a dataclass's fields, and a function that reads their values."""
    names = tuple(f.name for f in fields(cls))
    if len(names) > 1:
        return names, attrgetter(*names)
    return names, lambda value: tuple(getattr(value, name) for name in names)
