"""Collects the violations of a request, so that one error reports all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import ParamSpec, TypeVar

from askback_server.domain.errors import InvalidField
from askback_server.domain.json_text import BadFields, Violation

P = ParamSpec("P")
T = TypeVar("T")


class Violations:
    """The violations found so far; `done` raises them together. Their paths start with `prefix`."""

    __slots__ = ("found", "prefix")

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.found: list[Violation] = []

    def bad(self, field: str, description: str) -> None:
        """Add a violation."""
        self.found.append(Violation(self.prefix + field, description))

    def run(self, check: Callable[[], object]) -> None:
        """Run a check of `json_text` or `forms`, and add the violations of its BadFields."""
        try:
            check()
        except BadFields as error:
            self.found.extend(Violation(self.prefix + v.field, v.description) for v in error.violations)

    def read(self, read: Callable[P, T], *args: P.args, **options: P.kwargs) -> T | None:
        """Return the result of `read`. If it raises InvalidField, add its violations and return None."""
        try:
            return read(*args, **options)
        except InvalidField as error:
            self.found += error.violations
            return None

    def storable(self, field: str, values: Iterable[str]) -> None:
        """Add a violation if a text contains NUL: databases cannot store it, nor take it as a parameter."""
        if "\0" in "".join(values):
            self.bad(field, "must not contain the NUL character")

    def positive(self, field: str, value: timedelta) -> bool:
        """Whether a duration is longer than 0 s; if not, adds a violation."""
        if value > timedelta(0):
            return True
        self.bad(field, "must be longer than 0 s; leave it unset for none")
        return False

    def done(self) -> None:
        """Raise InvalidField if anything was found."""
        if self.found:
            raise InvalidField(self.found)
