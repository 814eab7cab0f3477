"""Every shape of a form: its schema, what may be typed, the values, and its screen on the line console.

The table for all consoles is `tests/forms/shapes.json`. After an intended change, run `python -m tests.forms`
to rewrite the screens, and review the diff.
"""

import time
from collections.abc import Iterator
from json import loads
from typing import Any

import pytest

from askback._model.json_text import dumps
from askback.terminal.fields import Field, flat
from askback.terminal.prompt_form import form_of
from askback.terminal.value_parser import fits, read
from askback_server.domain.form_clarity import check_schema
from askback_server.domain.json_schema import compile_schema, schema_violations
from askback_server.domain.json_text import BadFields
from tests.forms import HERE, SHAPES, ZONE, prompt_with, screen, type_form
from tests.forms.types import TYPES

NAMES = [shape["name"] for shape in SHAPES]
SCHEMAS = [shape for shape in SHAPES if "schema" in shape]


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the local time zone to Berlin."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", ZONE)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_each_shape_shows_its_screen_and_sends_its_values(shape: dict[str, Any]) -> None:
    text, values = screen(shape)
    assert text == (HERE / "screens" / f"{shape['name']}.txt").read_text()
    assert dumps(values) == shape["values_json"]
    assert "$ref" not in text
    assert '"properties"' not in text  # people are not shown a schema


@pytest.mark.parametrize("shape", SCHEMAS, ids=lambda shape: shape["name"])
def test_the_server_accepts_the_values_of_each_shape(shape: dict[str, Any]) -> None:
    schema = dumps(shape["schema"])
    if shape["name"] == "recursive":  # servers refuse it now; an older one may have stored it
        return
    compile_schema(schema)
    assert not schema_violations(schema, loads(shape["values_json"]), "values_json")
    if shape["name"] != "secret":
        check_schema(schema)


@pytest.mark.parametrize("name", TYPES)
def test_the_type_has_this_schema_and_gets_its_value(name: str) -> None:
    shape = next(shape for shape in SHAPES if shape["name"] == name)
    form = type_form(name)
    assert loads(form.schema_json) == shape["schema"]
    value = form.parse(shape["values_json"])
    assert form.parse(form.dump(value)) == value
    for docstring in ("for programmers", "One line of an invoice", "A list with a name", "say less than"):
        assert docstring not in form.schema_json


INPUTS = [(shape, one) for shape in SHAPES for one in shape["inputs"]]


@pytest.mark.parametrize(("shape", "one"), INPUTS, ids=[f"{s['name']}-{o['typed']}" for s, o in INPUTS])
def test_typed_text_becomes_a_value_or_a_refusal(shape: dict[str, Any], one: dict[str, Any]) -> None:
    (entry,) = flat(form_of(prompt_with(shape)))
    assert isinstance(entry, Field)
    if "refused" in one:
        with pytest.raises(ValueError) as refused:  # noqa: PT011
            read(entry, one["typed"])
        assert str(refused.value) == one["refused"]
        return
    found = read(entry, one["typed"])
    assert found == one["value"]
    assert fits(entry, found)


@pytest.mark.parametrize("part", [{"format": "password"}, {"writeOnly": True}])
def test_the_server_refuses_a_form_that_asks_for_a_secret(part: dict[str, Any]) -> None:
    """At any place in the form, and under any name that looks like a secret."""
    secret = {"type": "string", **part}
    for schema in (
        {"properties": {"a": secret}},
        {"properties": {"a": {"type": "array", "items": {"anyOf": [secret, {"type": "null"}]}}}},
        {"$defs": {"S": secret}, "properties": {"a": {"$ref": "#/$defs/S"}}},
    ):
        with pytest.raises(BadFields) as refused:
            check_schema(dumps({"type": "object", **schema}))
        assert "asks for a secret" in refused.value.violations[0].description
    names = {"format": {"type": "string"}, "writeOnly": {"type": "boolean"}, "password": {"type": "string"}}
    check_schema(dumps({"type": "object", "properties": names}))
