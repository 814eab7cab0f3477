"""Every shape of a form: it is accessible, fits a phone and shows its values."""

from __future__ import annotations

from typing import Any

import pytest

from tests.forms import SHAPES
from tests.web.browser.forms.form_page import FormPage

NAMES = [shape["name"] for shape in SHAPES]


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
