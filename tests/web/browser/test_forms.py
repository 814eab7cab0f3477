"""Forms in a real browser: every shape, and what a person does to a form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.forms import SHAPES
from tests.support.chromium import launch_options
from tests.web.browser.form_page import FormPage, build_page

playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")

NAMES = [shape["name"] for shape in SHAPES]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = launch_options()
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(**options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> FormPage:
    return FormPage(browser, build_page(tmp_path_factory.mktemp("forms")))


@pytest.fixture
def form(tab: FormPage) -> Iterator[FormPage]:
    tab.reset()
    yield tab
    tab.check()


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_each_shape_is_accessible_in_both_themes(form: FormPage, shape: dict[str, Any]) -> None:
    form.show_shape(shape)
    if shape["name"] != "optional":
        form.call("reveal")
    for theme in ("light", "dark"):
        form.page.emulate_media(color_scheme=theme)
        assert form.violations_of_axe() == []
    form.page.emulate_media(forced_colors="active")
    assert form.violations_of_axe() == []


@pytest.mark.parametrize("shape", SHAPES, ids=NAMES)
def test_each_shape_shows_its_values_and_fits_a_phone(form: FormPage, shape: dict[str, Any]) -> None:
    form.page.set_viewport_size({"width": 320, "height": 640})
    form.show_shape(shape)
    assert form.page.evaluate("document.documentElement.scrollWidth") <= 320
    small = form.page.evaluate(
        """() => [...document.querySelectorAll(
            "button, textarea, .form-option, input:not([type=radio], [type=checkbox])")]
            .filter((one) => one.getBoundingClientRect().height < 44 && one.checkVisibility())
            .map((one) => one.outerHTML)"""
    )
    assert small == []
    form.show_shape(shape, german=True)
    form.call("reveal")
    assert form.page.evaluate("document.documentElement.scrollWidth") <= 320
    form.show_shape(shape)
    assert form.call("answered", shape["values_json"])
    assert form.page.locator("input, textarea, button").count() == 0
    assert form.page.evaluate("document.documentElement.scrollWidth") <= 320
    assert form.violations_of_axe() == []
    assert "swordfish" not in form.page.content()


def test_long_options_are_shown_whole(form: FormPage) -> None:
    """apache/airflow#64413: with four longer options none was shown."""
    shape = next(shape for shape in SHAPES if shape["name"] == "long_choices")
    titles = [option["title"] for option in shape["schema"]["properties"]["value"]["oneOf"]]
    form.page.set_viewport_size({"width": 320, "height": 640})
    for count in (1, 2, 5, 50):
        options = [{"value": f"o{n}", "title": title} for n, title in enumerate(titles[:count])]
        question = {"questionId": "q", "title": "Which?", "required": True, "single": {"options": options}}
        form.show({"questions": {"questions": [question]}})
        labels = form.page.locator(".form-option")
        assert labels.all_text_contents() == titles[:count]
        clipped = labels.evaluate_all(
            "(all) => all.filter((one) => one.scrollWidth > one.clientWidth).length"
        )
        assert clipped == 0
    form.field("Filter 50 options").fill("option 41:")
    assert form.page.locator(".form-option").count() == 1
    form.page.get_by_role("radio").check()
    form.field("Filter 50 options").fill("option 7:")
    assert form.page.locator(".form-option").count() == 2  # what is chosen stays in sight
    assert form.values == '{"q":"o40"}'


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


CARD = {"kind": {"const": "card"}, "digits": {"type": "string", "title": "Digits", "default": "0000"}}
BANK = {"kind": {"const": "bank"}, "iban": {"type": "string", "title": "IBAN"}}
PAY = {
    "title": "Pay by",
    "oneOf": [
        {"title": "Card", "type": "object", "properties": CARD},
        {"title": "Bank", "type": "object", "properties": BANK},
    ],
}


def test_another_branch_takes_one_click_and_keeps_both_values(form: FormPage) -> None:
    """rjsf-team/react-jsonschema-form#3977, #4322: two clicks, the old default kept, or data lost."""
    form.show_schema({"pay": PAY}, {"required": ["pay"]})
    form.field("Card").check()
    form.field("Digits").fill("1234")
    form.field("Bank").check()
    assert form.page.get_by_label("Digits").count() == 0
    form.field("IBAN").fill("DE02")
    assert form.values == '{"pay":{"kind":"bank","iban":"DE02"}}'
    form.field("Card").check()
    assert form.field("Digits").input_value() == "1234"
    assert form.values == '{"pay":{"kind":"card","digits":"1234"}}'


def test_a_condition_shows_and_hides_its_fields(form: FormPage) -> None:
    form.show_shape(next(shape for shape in SHAPES if shape["name"] == "conditional"))
    form.field("damaged").check()
    form.field("Photo").fill("https://a.example")
    form.field("other").check()
    assert form.page.get_by_label("Photo").count() == 0
    assert form.focused() == "other"  # the fields around it did not take the focus away
    form.field("What else? (required)").fill("wet")
    assert form.values == '{"reason":"other","note":"wet"}'
    form.field("damaged").check()
    assert form.field("Photo").input_value() == "https://a.example"


LINES = {
    "type": "array",
    "title": "Lines",
    "minItems": 1,
    "items": {
        "type": "object",
        "title": "Line",
        "properties": {"name": {"type": "string", "title": "Name"}},
        "required": ["name"],
    },
}


def test_items_are_moved_removed_and_put_back_by_keyboard(form: FormPage) -> None:
    form.show_schema({"lines": LINES}, {"required": ["lines"]})
    page = form.page
    page.get_by_role("button", name="Add: Line").focus()
    for name in ("a", "b", "c"):
        if name != "a":
            page.keyboard.press("Enter")  # "Add"
        else:
            page.get_by_label("Name (required)").focus()
        assert form.focused() == "Name (required)"
        page.keyboard.type(name)
        page.get_by_role("button", name="Add: Line").focus()
    page.get_by_role("button", name="Move up: Line 3").focus()
    page.keyboard.press("Enter")
    assert form.focused() == "Move up: Line 2"
    page.keyboard.press("Space")
    assert form.focused() == "Move up: Line 1"
    page.keyboard.press("Space")
    assert form.values == '{"lines":[{"name":"c"},{"name":"a"},{"name":"b"}]}'
    page.get_by_role("button", name="Remove: Line 2").focus()
    page.keyboard.press("Enter")
    assert form.focused() == "Put back Line 2"
    assert form.values == '{"lines":[{"name":"c"},{"name":"b"}]}'
    page.keyboard.press("Enter")
    assert form.focused() == "Name (required)"
    assert form.values == '{"lines":[{"name":"c"},{"name":"a"},{"name":"b"}]}'


def test_pasted_lines_become_items(form: FormPage) -> None:
    form.show_schema({"n": {"type": "array", "title": "Numbers", "items": {"type": "integer"}}})
    form.page.get_by_role("button", name="Add: Numbers").click()
    form.field("Numbers 1 (required)").evaluate(
        """(one) => {
            const data = new DataTransfer();
            data.setData("text/plain", "1\\n2\\r\\n\\n3");
            const told = {clipboardData: data, bubbles: true, cancelable: true};
            one.dispatchEvent(new ClipboardEvent("paste", told));
        }"""
    )
    assert form.values == '{"n":[1,2,3]}'


def test_what_the_service_refuses_stands_at_its_field(form: FormPage) -> None:
    form.show_schema(
        {"a": {"type": "string", "title": "A"}, "lines": LINES, "one": {"enum": ["x", "y"], "title": "One"}},
        {"required": ["lines"]},
    )
    form.field("Name (required)").fill("x")
    form.field("A").focus()
    form.call(
        "refuse",
        [
            {"field": "values_json/one", "description": "is closed today"},
            {"field": "values_json/lines/0/name", "description": "is taken"},
            {"field": "comment", "description": "is required"},
        ],
    )
    form.page.get_by_text("is taken").wait_for()
    name = form.field("Name (required)")
    assert form.focused() == "Name (required)"
    assert form.described(name) == "! is taken"
    assert name.get_attribute("aria-invalid") == "true"
    group = form.page.get_by_role("radiogroup", name="One")
    assert form.described(group) == "! is closed today"
    assert form.page.get_by_text("comment: is required").count() == 1
    assert form.violations_of_axe() == []
    name.fill("y")
    assert form.page.get_by_text("is taken").count() == 0
    assert form.page.get_by_text("is closed today").count() == 1


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


def test_json_says_where_it_is_wrong_and_can_be_tidied(form: FormPage) -> None:
    form.show_schema({"any": {"title": "Any"}})
    area = form.field("Any")
    area.fill('{"b": 1.0,\n  "10": x}')
    assert "is not JSON: a value is expected (line 2, column 9)" in form.described(area)
    form.page.get_by_role("button", name="Go to the error").click()
    selected = "(one) => one.value.slice(one.selectionStart, one.selectionEnd)"
    assert area.evaluate(selected) == "x"
    form.page.keyboard.type("2")
    assert form.page.get_by_text("Valid JSON").count() == 1
    form.page.get_by_role("button", name="Format").click()
    assert area.input_value() == '{\n  "b": 1.0,\n  "10": 2\n}'
    assert form.values == '{"any":{"b":1.0,"10":2}}'


def test_fields_and_json_show_the_same_values(form: FormPage) -> None:
    form.show_schema({"lines": LINES}, {"required": ["lines"]})
    form.field("Name (required)").fill("a")
    form.page.get_by_role("button", name="Edit as JSON: Lines").click()
    area = form.page.locator("textarea")
    area.fill('[{"name": "a"}, {"name": "b"}]')
    assert form.values == '{"lines":[{"name":"a"},{"name":"b"}]}'
    form.page.get_by_role("button", name="Edit as fields: Lines").click()
    assert form.page.get_by_label("Name (required)").count() == 2
    assert form.values == '{"lines":[{"name":"a"},{"name":"b"}]}'


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
