"""What people read for the members of an enum: a name never hides a value that says more."""

from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from typing import Any

import pytest
from pydantic import TypeAdapter

from askback._model.form_schema import FormSchema


def shown(members: Mapping[str, Any], base: Callable[..., Any] = Enum) -> list[str]:
    """What a form shows for each member, in their order."""
    made = base("Choice", [*members.items()])
    schema = TypeAdapter(made).json_schema(schema_generator=FormSchema)
    options = schema.get("oneOf") or [{"const": value} for value in schema["enum"]]
    return [option.get("title", str(option["const"])) for option in options]


@pytest.mark.parametrize(
    ("name", "value", "reads"),
    [
        ("EU", "production-eu", "production-eu"),
        ("PROD_EU", "production-eu", "production-eu"),
        ("DEV", "Development", "Development"),
        ("PRODUCTION_EU", "production-eu", "production-eu"),
        ("US_DOLLAR", "usd", "Us dollar"),
        ("ACCEPT", "a", "Accept"),
        ("HIGH", 3, "High"),
        ("HALF", "1/2", "Half"),
        ("FIRST_CLASS", "A1", "First class (A1)"),
        ("GREEN", "grün", "Green (grün)"),
        ("EU", "productionEu", "Eu (productionEu)"),
    ],
)
def test_a_title_says_what_the_name_adds_to_the_value(name: str, value: Any, reads: str) -> None:
    assert shown({name: value, "OTHER": "other"}) == [reads, "other"]


def test_members_that_would_look_the_same_are_shown_as_their_values() -> None:
    assert shown({"LOW": 1, "low": 2}) == ["1", "2"]
    assert shown({"HIGH": "h", "X": "high"}) == ["h", "high"]


def test_choices_named_by_their_last_word_are_shown_whole() -> None:
    members = {"STAGING": "staging", "EU": "production-eu", "US": "production-us"}
    assert shown(members) == ["staging", "production-eu", "production-us"]
    assert shown(members, StrEnum) == ["staging", "production-eu", "production-us"]
