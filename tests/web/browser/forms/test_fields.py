"""The fields of a form, and what a person does to them."""

from __future__ import annotations

import json

from tests.forms import SHAPES
from tests.web.browser.forms.form_page import FormPage


def test_the_wheel_changes_nothing(form: FormPage) -> None:
    """bpmn-io/form-js#208: scrolling changed the number in a field unnoticed."""
    fields = {"whole": {"type": "integer"}, "number": {"type": "number"}, "day": {"format": "date"}}
    texts = {"when": {"format": "date-time"}}
    form.show_schema(
        {name: {"title": name, "type": "string", **part} for name, part in (fields | texts).items()}
        | {"one": {"title": "one", "enum": ["a", "b"]}}
    )
    form.field("whole").fill("9007199254740993")
    form.field("number").fill("1.50")
    form.field("day").fill("2026-12-01")
    form.field("when").fill("2026-12-01T15:00")
    form.page.get_by_role("radio", name="a", exact=True).check()
    before = form.values
    for name in ("whole", "number", "day", "when"):
        field = form.field(name)
        field.click()
        box = field.bounding_box()
        assert box is not None
        for delta in (-120, 120, -600):
            form.page.mouse.wheel(0, delta)
    assert form.page.locator("input[type=number], select").count() == 0
    assert form.values == before
    assert json.loads(before)["when"] == "2026-12-01T15:00:00+01:00"
    assert "9007199254740993" in before
    assert "1.50" in before


def test_an_emptied_field_stays_empty(form: FormPage) -> None:
    form.show_schema({"n": {"title": "N", "type": "integer", "default": 5}})
    assert form.values == '{"n":5}'
    form.field("N").fill("")
    assert form.values == "{}"
    draft = form.call("inputs")
    form.show_schema({"n": {"title": "N", "type": "integer", "default": 5}})
    form.call("restore", draft)
    assert form.field("N").input_value() == ""


def test_a_number_is_read_back(form: FormPage) -> None:
    form.show_schema({"n": {"title": "N", "type": "number"}}, german=True)
    field = form.field("N")
    field.fill("1234,50")
    assert form.page.get_by_text("Wird gesendet als").inner_text() == "Wird gesendet als 1234.50"
    assert "1234.50" in form.described(field)
    field.fill("100.000")
    field.blur()
    assert form.page.locator(".form-read-back").count() == 0
    assert "ohne Tausenderpunkte" in form.described(field)
    assert field.get_attribute("aria-invalid") == "true"


def test_a_half_filled_date_is_not_an_empty_one(form: FormPage) -> None:
    form.show_schema({"day": {"title": "Day", "type": "string", "format": "date"}})
    field = form.field("Day")
    field.click()
    form.page.keyboard.type("12")
    assert form.values == ["day: is not complete: fill in all parts, or clear it"]
    field.blur()
    assert "is not complete" in form.described(field)
    field.fill("2028-02-29")
    assert form.values == '{"day":"2028-02-29"}'


def test_a_day_is_the_same_day_in_every_zone(form: FormPage) -> None:
    form.show_schema({"day": {"title": "Day", "type": "string", "format": "date"}}, zone="Pacific/Kiritimati")
    form.field("Day").fill("2026-12-01")
    assert form.values == '{"day":"2026-12-01"}'


def test_a_point_in_time_shows_its_zone(form: FormPage) -> None:
    form.show_schema({"at": {"title": "At", "type": "string", "format": "date-time"}}, zone="Asia/Kolkata")
    zone = form.field("Zone")
    assert zone.get_attribute("placeholder") == "your time: Asia/Kolkata"
    form.field("At").fill("2026-12-01T09:30")
    assert form.page.locator(".form-read-back").inner_text() == "Will be sent as 2026-12-01T09:30:00+05:30"
    zone.fill("-05:00")
    assert form.values == '{"at":"2026-12-01T09:30:00-05:00"}'
    draft = form.call("inputs")
    form.show_schema({"at": {"title": "At", "type": "string", "format": "date-time"}}, zone="UTC")
    form.call("restore", draft)
    assert form.field("At").input_value() == "2026-12-01T09:30"
    assert form.field("Zone").input_value() == "-05:00"


def test_sending_too_early_leads_to_the_first_problem(form: FormPage) -> None:
    form.show_schema(
        {
            "free": {"type": "string", "title": "Free"},
            "sure": {"type": "boolean", "title": "Sure?"},
            "n": {"type": "integer", "title": "N"},
        },
        {"required": ["sure", "n"]},
    )
    assert form.page.locator(".form-problem").count() == 0  # nothing is wrong before the person was there
    assert form.call("reveal") is False
    assert form.page.get_by_role("radio", name="Yes").evaluate("(one) => one === document.activeElement")
    assert form.page.locator(".form-problem").all_inner_texts() == ["! must be chosen", "! must be given"]


def test_a_whole_form_is_filled_in_by_keyboard_only(form: FormPage) -> None:
    form.show_shape(next(shape for shape in SHAPES if shape["name"] == "questions"))
    press, write = form.page.keyboard.press, form.page.keyboard.type
    press("Tab")
    press("Space")  # In order? Yes
    press("Tab")
    press("ArrowDown")  # the first option has the focus: choose the second
    press("Tab")
    press("Space")  # Tags: a
    press("Tab")
    press("Space")  # b
    press("Tab")
    press("Tab")  # past the other tags
    write("it broke")
    press("Enter")  # sends nothing
    press("Tab")
    press("Tab")
    write("because")
    press("Enter")
    write("of rain")
    press("Tab")
    write("4")
    press("Tab")
    write("12.50")
    press("Tab")
    write("12012026")
    assert form.page.url.rstrip("/") == "http://forms.test"
    assert json.loads(form.values) == {
        "ok": True,
        "policy": "goodwill",
        "tags": ["a", "b"],
        "what": "it broke",
        "city": "Bonn",
        "why": "because\nof rain",
        "count": 4,
        "price": 12.5,
        "day": "2026-12-01",
    }
    assert '"price":12.50' in form.values


def test_hostile_titles_are_text(form: FormPage) -> None:
    title = '<img src=x onerror="alert(1)">\u202egpj.exe'
    schema = {
        "type": "string",
        "title": title,
        "description": "[x](javascript:alert(1)) <script>alert(1)</script>",
    }
    form.show_schema({"a": schema, "b": {"title": "B", "oneOf": [{"const": "x", "title": title}]}})
    text = form.page.locator("label").first.inner_text()
    assert text.startswith('<img src=x onerror="alert(1)">')
    assert "\u202e" not in form.page.locator("#app").inner_text()
    assert form.page.locator("img, script:not([src]), a[href^=javascript]").count() == 0


def test_browsers_fill_nothing_in(form: FormPage) -> None:
    """directus/directus#4815: password managers filled unrelated fields."""
    form.show_shape(next(shape for shape in SHAPES if shape["name"] == "questions"))
    typed = form.page.locator("input:not([type=radio], [type=checkbox]), textarea")
    assert set(typed.evaluate_all("(all) => all.map((one) => one.autocomplete)")) == {"off"}
    names = form.page.locator("#app [name]").evaluate_all("(all) => all.map((one) => one.name)")
    assert all(name.startswith("form") for name in names)
    assert form.page.locator("form").evaluate("(one) => one.noValidate")
