"""A violation: one invalid field of a request, as the server describes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One invalid field: its path, such as `values_json/amount`, and what would be valid."""

    field: str
    description: str


def values_field(place: Iterable[str | int]) -> str:
    """The field of a violation in an answer's values: `values_json/rows/0/price`, a JSON pointer."""
    tokens = (str(part).replace("~", "~0").replace("/", "~1") for part in place)
    return "/".join(("values_json", *tokens))


def place_in_values(field: str) -> list[str] | None:
    """The tokens of such a field: `rows`, `0`, `price`; None for another field of the answer."""
    name, *tokens = field.split("/")
    return [t.replace("~1", "/").replace("~0", "~") for t in tokens] if name == "values_json" else None
