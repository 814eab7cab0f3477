"""Parts of a form that hold other fields: branches, conditions and items, as fields and as JSON."""

from __future__ import annotations

from tests.forms import SHAPES
from tests.web.browser.forms.form_page import FormPage

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
