"""A page with one form in a real browser, under the security policy of the inbox.

Its source is `client/web/test/pages/forms_page.tsx`.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.page_packages import page_source

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Route

WEB = Path(__file__).parents[4] / "client" / "web"
ORIGIN = "http://forms.test"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
SHELL = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Form</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/forms_page.css"></head>
<body><main class="content"><h1>Form</h1><h2>Values</h2><h3>All</h3><div id="app"></div></main>
<script type="module" src="/forms_page.js"></script></body></html>"""


def build_page(folder: Path) -> dict[str, str]:
    """Bundle the page into the folder. Returns its files by name; skips the test where node is missing."""
    esbuild = page_source() / "node_modules" / ".bin" / "esbuild"
    command = [str(esbuild), "test/pages/forms_page.tsx", "--bundle", "--format=esm", "--jsx=automatic"]
    command += ["--jsx-import-source=preact", "--splitting", f"--outdir={folder}", "--log-level=warning"]
    subprocess.run(command, cwd=WEB, check=True, timeout=60)
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()} | {"": SHELL}


class FormPage:
    """One tab, used for all tests. Whatever the browser reports as an error fails the test in `check`."""

    def __init__(self, browser: Browser, files: dict[str, str]) -> None:
        self._files = files
        self.errors: list[str] = []
        context = browser.new_context(
            viewport={"width": 900, "height": 900}, timezone_id="Europe/Berlin", locale="en-GB"
        )
        self.page: Page = context.new_page()
        self.page.set_default_timeout(5_000)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.route("**/*", self._serve)
        self.page.goto(ORIGIN)
        self.page.wait_for_function("globalThis.forms !== undefined")
        axe = (WEB / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
        self.page.evaluate(f"() => {{ {axe} }}")

    def reset(self) -> None:
        """Put the tab into the state in which each test starts."""
        self.errors.clear()
        self.page.set_viewport_size({"width": 900, "height": 900})
        self.page.emulate_media(color_scheme="light", forced_colors="none")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _serve(self, route: Route) -> None:
        name = route.request.url.removeprefix(ORIGIN).lstrip("/")
        if name not in self._files:
            route.fulfill(status=404)
            return
        kinds = {"js": "text/javascript", "css": "text/css"}
        kind = kinds.get(name.rpartition(".")[2], "text/html")
        headers = {"content-security-policy": POLICY}
        route.fulfill(body=self._files[name], content_type=f"{kind}; charset=utf-8", headers=headers)

    def check(self) -> None:
        """Raises AssertionError if the browser has reported an error."""
        assert self.errors == []

    def show(self, content: dict[str, Any], **settings: Any) -> None:
        """Show the form of a prompt's content, as ProtoJSON."""
        self.page.evaluate("([content, settings]) => forms.show(content, settings)", [content, settings])

    def show_schema(
        self, properties: dict[str, Any], more: dict[str, Any] | None = None, **settings: Any
    ) -> None:
        """Show the form of a schema with these properties."""
        schema = {"type": "object", "properties": properties, **(more or {})}
        self.show({"schemaJson": json.dumps(schema)}, **settings)

    def show_shape(self, shape: dict[str, Any], **settings: Any) -> None:
        """Show the form of a shape of `tests/forms/shapes.json`."""
        if "questions" in shape:
            self.show({"questions": {"questions": shape["questions"]}}, **settings)
        else:
            self.show({"schemaJson": json.dumps(shape["schema"])}, **settings)

    def call(self, name: str, *given: Any) -> Any:
        """Call a function of the page's `forms`."""
        return self.page.evaluate("([name, given]) => forms[name](...given)", [name, list(given)])

    @property
    def values(self) -> Any:
        """The values as JSON text, or the list of problems."""
        return self.call("values")

    def field(self, label: str) -> Locator:
        """The control with this label."""
        return self.page.get_by_label(label, exact=True)

    def focused(self) -> str:
        """The accessible text of the element that has the focus: its label, or its own text."""
        found: str = self.page.evaluate(
            """() => {
                const one = document.activeElement;
                const text = one.labels?.[0] ?? (one.matches("fieldset") ? one.querySelector("legend") : one);
                const name = one.getAttribute("aria-label") ?? text.textContent.trim();
                return one === document.body ? "body" : name;
            }"""
        )
        return found

    def described(self, control: Locator) -> str:
        """The texts that a screen reader adds to the control."""
        found: str = control.evaluate(
            """(one) => (one.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean)
                .map((id) => document.getElementById(id).textContent).join(" | ")"""
        )
        return found

    def violations_of_axe(self) -> list[str]:
        """What axe-core finds on the page."""
        found: list[str] = self.page.evaluate(
            """async () => (await axe.run()).violations.map((one) =>
                `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`)"""
        )
        return found
