"""What the server says is wrong with one field of a request."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field: a path such as `values_json/amount`, and what would be right."""

    field: str
    description: str
