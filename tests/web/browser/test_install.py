"""The page can be installed, and it never shows an old state of the inbox while the gateway is away."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image, ImageChops
from playwright.async_api import Browser, BrowserContext, Error, Page, async_playwright, expect

from scripts.web_icons import ICONS, PUBLIC, draw
from tests.support.browser import Inbox, live
from tests.support.chromium import launch_options
from tests.support.requests import confirm

LEAST = 4
"""The most that a channel of a pixel may differ, of 255, between two drawings of one icon."""


@pytest_asyncio.fixture(loop_scope="session")
async def kept(tmp_path: Path) -> AsyncIterator[BrowserContext]:
    """A browser with a profile: pages of a private window cannot be installed."""
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            tmp_path / "profile", **launch_options()
        )
        try:
            yield context
        finally:
            await context.close()


async def ask(page: Page, command: str) -> Any:
    """A command of Chromium's own protocol."""
    session = await page.context.new_cdp_session(page)
    return await session.send(command)


async def test_chromium_finds_the_page_installable(inbox: Inbox, kept: BrowserContext) -> None:
    await inbox.sign_in(kept, "ana")
    page = await inbox.tab(kept)
    await live(page)
    assert (await ask(page, "Page.getInstallabilityErrors"))["installabilityErrors"] == []
    found = await ask(page, "Page.getAppManifest")
    assert found["errors"] == []
    assert found["url"] == f"{inbox.origin}/manifest.webmanifest"
    manifest = json.loads(found["data"])
    assert (manifest["id"], manifest["start_url"], manifest["scope"]) == ("/", "/", "/")
    for icon in manifest["icons"]:
        reply = await page.request.get(inbox.origin + icon["src"])
        assert reply.headers["content-type"] == icon["type"], icon
        if icon["sizes"] != "any":
            size = Image.open(io.BytesIO(await reply.body())).size
            assert "x".join(map(str, size)) == icon["sizes"]


async def test_the_icons_are_drawn_from_the_svg(chromium: Browser) -> None:
    for name, (width, maskable) in ICONS.items():
        fresh = Image.open(io.BytesIO(await draw(chromium, width, maskable=maskable))).convert("RGBA")
        stored = Image.open(PUBLIC / name).convert("RGBA")
        assert fresh.size == stored.size
        worst = max(high for _, high in ImageChops.difference(fresh, stored).getextrema())
        assert worst <= LEAST, f"{name}: run `make icons`"


async def test_the_colours_of_the_window_follow_the_theme(inbox: Inbox) -> None:
    page = await inbox.open(path="/settings", color_scheme="light")
    colours = """[...document.querySelectorAll('meta[name="theme-color"]')]
      .filter((meta) => matchMedia(meta.media).matches).map((meta) => meta.content)"""
    header = "getComputedStyle(document.querySelector('.top')).backgroundColor"
    assert await page.evaluate(colours) == ["#ffffff"]
    assert await page.evaluate(header) == "rgb(255, 255, 255)"
    await page.get_by_label("Dark").check()
    assert await page.evaluate(colours) == ["#181c23"]
    assert await page.evaluate(header) == "rgb(24, 28, 35)"
    await page.get_by_label("As the system").check()
    assert await page.evaluate(colours) == ["#ffffff"]
    await page.emulate_media(color_scheme="dark")
    assert await page.evaluate(colours) == ["#181c23"]


async def test_without_a_gateway_no_old_page_is_shown(inbox: Inbox) -> None:
    """A page out of a cache would show questions that are answered by now, and buttons that lead nowhere."""
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await inbox.open(path=f"/prompts/{prompt.prompt_id}")
    await expect(page.locator("#prompt-title")).to_have_text("Go?")
    inbox.complaints.allowed.append("ERR_INTERNET_DISCONNECTED")
    context = page.context
    stored = "Promise.all([caches.keys(), navigator.serviceWorker.getRegistrations()])"
    assert await page.evaluate(stored) == [[], []]
    await context.set_offline(True)
    for path in ("/", f"/prompts/{prompt.prompt_id}"):
        other = await context.new_page()
        with pytest.raises(Error, match="ERR_INTERNET_DISCONNECTED"):
            await other.goto(inbox.origin + path)
    await context.set_offline(False)
