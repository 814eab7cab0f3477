"""A violation: one invalid field of a request, as the server describes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One invalid field: its path, such as `values_json/amount`, and what would be valid."""

    field: str
    description: str
