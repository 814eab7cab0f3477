"""Fixtures of the tests of forms: `form` is a page with one form, in a browser of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.chromium import launch_options
from tests.web.browser.forms.form_page import FormPage, build_page


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")
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
