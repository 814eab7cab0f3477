"""People at the page: a real Chromium in front of a real gateway and service."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from tests.support.chromium import launch_options
from tests.support.page_packages import page_source
from tests.support.processes import eventually
from tests.support.service import ServiceWorld

WAIT_MS = 20_000
"""How long a test waits for something to appear before it fails."""

expect.set_options(timeout=WAIT_MS)

_BACKGROUND = "/askback.v1.PolicyService/ListAbsences"
"""What a page calls by itself once it is live. A test may end its session or its service at that moment; the
page tries again later, and Chromium writes the failure into its console all the same."""

_WATCH = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


@asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    """Chromium without a window."""
    options = launch_options()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**options)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Complaints:
    """What the browser wrote into its console, and errors that no one caught: each fails the test."""

    allowed: list[str] = field(default_factory=list)
    """Parts of messages that the test expects, such as the status of a refused call."""
    found: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Collect the complaints of a page."""
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.found.append(f"uncaught: {error}"))

    def _on_console(self, message: ConsoleMessage) -> None:
        url = message.location.get("url", "")
        if message.type in {"error", "warning"} and not url.endswith(_BACKGROUND):
            self.found.append(f"{message.type}: {message.text} {url}")

    def check(self) -> None:
        """Fail if there was a complaint that the test did not expect."""
        rest = [text for text in self.found if not any(part in text for part in self.allowed)]
        assert not rest, "\n".join(rest)


class Published(Protocol):
    """What browsers connect to: a gateway, or what stands in front of gateways."""

    @property
    def port(self) -> int:
        """The port on loopback."""


class Inbox:
    """Opens the page for people, each in a browser context of their own."""

    def __init__(self, browser: Browser, world: ServiceWorld, web: Published) -> None:
        self.browser = browser
        self.world = world
        self.web: Published = web
        self.complaints = Complaints()
        self._contexts: list[BrowserContext] = []

    @property
    def origin(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.web.port}"

    async def context(
        self, user: str = "ana", groups: tuple[str, ...] = (), **options: Any
    ) -> BrowserContext:
        """A browser in which the person is signed in; with an empty name it is not."""
        options.setdefault("viewport", {"width": 1280, "height": 800})
        options.setdefault("locale", "en-GB")
        options.setdefault("timezone_id", "Europe/Berlin")
        context = await self.browser.new_context(**options)
        context.set_default_timeout(WAIT_MS)
        await context.add_init_script(_WATCH)
        self._contexts.append(context)
        if user:
            await self.sign_in(context, user, groups)
        return context

    async def sign_in(self, context: BrowserContext, user: str, groups: tuple[str, ...] = ()) -> None:
        """Give the browser the cookie of a person."""
        await self._begin_session(context, {"name": user, "groups": groups})

    async def open_with_token(
        self, user: str, path: str = "/", context: BrowserContext | None = None
    ) -> Page:
        """The page of a person who has signed in with a token of a `TokenFile`, in a browser of their own."""
        context = context or await self.context("")
        await self._begin_session(context, {"token": f"{user}-token"})
        return await self.tab(context, path)

    async def _begin_session(self, context: BrowserContext, fields: dict[str, Any]) -> None:
        reply = await context.request.post(
            f"{self.origin}/session",
            data=json.dumps(fields),
            headers={"content-type": "application/json", "x-askback": "1", "origin": self.origin},
        )
        assert reply.ok, await reply.text()

    async def end_session(self, page: Page) -> None:
        """End the session of a page from elsewhere, and wait until it shows that."""
        await page.context.request.post(
            f"{self.origin}/session/end",
            data="{}",
            headers={"content-type": "application/json", "x-askback": "1", "origin": self.origin},
        )
        await page.wait_for_selector('[data-link="signed_out"]')

    async def open(self, user: str = "ana", path: str = "/", **options: Any) -> Page:
        """The page of a person, live."""
        context = await self.context(user, **options)
        page = await self.tab(context, path)
        if user:
            await live(page)
        return page

    async def tab(self, context: BrowserContext, path: str = "/") -> Page:
        """Another tab of a browser."""
        page = await context.new_page()
        self.complaints.watch(page)
        await page.goto(self.origin + path)
        return page

    async def close(self) -> None:
        """Close all browsers, and fail if one complained."""
        for context in self._contexts:
            await context.close()
        self.complaints.check()


async def live(page: Page) -> None:
    """Wait until the page is connected and has all prompts."""
    await page.wait_for_selector('[data-link="live"]', timeout=WAIT_MS)


async def settled(page: Page) -> None:
    """Wait until decisions are possible: the dead time after the last change is over."""
    await page.wait_for_selector('[data-decision][aria-disabled="false"]', timeout=WAIT_MS)


_SAVED = """
async ([part, isSaved]) => {
  const result = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const database = await result(indexedDB.open("askback-drafts"));
  const records = await result(database.transaction("drafts").objectStore("drafts").getAll());
  database.close();
  return JSON.stringify(records).includes(part) === isSaved;
}
"""


async def saved(page: Page, part: str, *, is_saved: bool = True) -> None:
    """Wait until a draft in the browser's storage has this text in it, or none has."""
    await eventually(lambda: page.evaluate(_SAVED, [part, is_saved]), f"saved: {part} {is_saved}")


_AXE_RUNS: dict[Literal["light", "dark"], dict[str, Any]] = {
    "light": {"resultTypes": ["violations"]},
    "dark": {"resultTypes": ["violations"], "runOnly": ["color-contrast", "link-in-text-block"]},
}
"""The dark theme has other colours, and nothing else: only the rules about colours run again."""


async def axe(page: Page) -> list[str]:
    """The violations that axe-core finds on the page as it is, in both themes."""
    source = await asyncio.to_thread(page_source)
    await page.evaluate((source / "node_modules/axe-core/axe.min.js").read_text())
    problems = []
    for theme, options in _AXE_RUNS.items():
        await page.emulate_media(color_scheme=theme)
        found = await page.evaluate("(options) => axe.run(document, options)", options)
        problems += [
            f"{theme}: {violation['id']}: {violation['help']}\n  "
            + "\n  ".join(f"{node['target']} {node['html'][:200]}" for node in violation["nodes"])
            for violation in found["violations"]
        ]
    return problems


def page_folder() -> Path | None:
    """The folder of a page that is built elsewhere, for work on the page; None: the one of the package."""
    folder = os.environ.get("PAGE_FOLDER", "")
    return Path(folder) if folder else None
