"""What is typed stays: in drafts, in a form that closed, and while the page is drawn again."""

from __future__ import annotations

import json

from tests.forms import SHAPES
from tests.web.browser.forms.form_page import FormPage


def test_a_draft_of_an_older_form_is_offered_as_text(form: FormPage) -> None:
    form.show_schema({"old": {"type": "string", "title": "Old"}, "kept": {"type": "string", "title": "Kept"}})
    form.field("Old").fill("two days of work")
    form.field("Kept").fill("here")
    draft = form.call("inputs")
    form.show_schema({"kept": {"type": "string", "title": "Kept"}})
    form.call("restore", draft)
    form.page.get_by_text("two days of work").wait_for()
    assert form.field("Kept").input_value() == "here"
    assert form.violations_of_axe() == []


def test_a_form_that_closed_shows_what_was_typed(form: FormPage) -> None:
    """Another person was first: the half-finished input is there to copy."""
    geo = {"title": "Geo", "type": "object", "properties": {"lat": {"title": "Lat", "type": "number"}}}
    form.show_schema(
        {"n": {"title": "N", "type": "integer"}, "any": {"title": "Any"}, "geo": geo},
        {"required": ["n", "geo"]},
    )
    form.field("N (required)").fill("12 apples")
    form.field("Any").fill('{"half": ')
    form.field("Lat").fill("50,7")
    form.call("read_only")
    form.page.get_by_text("12 apples").wait_for()
    text = form.page.locator("#app").inner_text()
    assert '{"half":' in text
    assert "50,7" in text


def test_a_secret_is_masked_and_enters_no_draft(form: FormPage) -> None:
    form.show_shape(next(shape for shape in SHAPES if shape["name"] == "secret"))
    field = form.field("Token (required)")
    field.fill("swordfish")
    assert field.get_attribute("type") == "password"
    assert form.page.get_by_role("button", name="Edit as JSON").count() == 0
    assert "swordfish" not in form.call("inputs")
    assert form.values == '{"value":"swordfish"}'


def test_typing_is_reported_and_a_re_rendering_keeps_the_text(form: FormPage) -> None:
    form.show_schema({"a": {"type": "string", "title": "A"}})
    form.field("A").press_sequentially("abc")
    assert form.call("changes") == 3
    form.field("A").press("ArrowLeft")
    form.call("refuse", [{"field": "values_json/a", "description": "is odd"}])
    form.page.get_by_text("is odd").wait_for()
    form.page.keyboard.type("x")
    assert form.field("A").input_value() == "abxc"


def test_what_is_typed_before_the_first_paint_is_reported(form: FormPage) -> None:
    """A machine under load paints late, and a draft must not lose its first letters."""
    schema = {"type": "object", "properties": {"a": {"type": "string", "title": "A"}}}
    reported = form.page.evaluate(
        """(content) => {
            forms.show(content);
            const field = document.querySelector("form input");
            field.value = "a";
            field.dispatchEvent(new InputEvent("input", {bubbles: true}));
            return forms.changes();
        }""",
        {"schemaJson": json.dumps(schema)},
    )
    assert reported == 1
