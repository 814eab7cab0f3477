"""The connection goes and comes back under an open page."""

import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from playwright.async_api import expect

from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, live, settled
from tests.support.ports import free_port
from tests.support.requests import answer, confirm
from tests.support.web import gateway_for


class Switch:
    """A gateway that can be stopped, and started again at the same address with the same session keys."""

    def __init__(self, inbox: Inbox, keys: Path) -> None:
        self._desk = inbox
        self._keys = keys
        self._port = free_port()
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Start the gateway; the inbox opens its page."""
        settings = {"listen": f"127.0.0.1:{self._port}", "session_keys": str(self._keys)}
        self._desk.web = await self._stack.enter_async_context(gateway_for(self._desk.world, **settings))

    async def stop(self) -> None:
        """Stop it."""
        await self._stack.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def switch(inbox: Inbox, tmp_path: Path) -> AsyncIterator[Switch]:
    """The gateway of the inbox, with a switch."""
    keys = tmp_path / "keys"
    keys.write_text(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode() + "\n")
    keys.chmod(0o600)
    made = Switch(inbox, keys)
    await made.start()
    yield made
    await made.stop()


async def test_a_page_reads_while_it_is_offline_and_catches_up_exactly(inbox: Inbox, switch: Switch) -> None:
    inbox.complaints.allowed += ["ERR_", "WebSocket", "503", "502"]
    world = inbox.world
    shown = await world.create_prompt(confirm("Shown?", timeout=Duration(seconds=3600)))
    closing = await world.create_prompt(confirm("Closing?"))
    page = await inbox.open(path=f"/prompts/{shown.prompt_id}")
    await settled(page)
    await page.locator("#comment").fill("kept")
    await switch.stop()
    await page.wait_for_selector('[data-link="offline"], [data-link="connecting"]')
    left = await page.evaluate("performance.now()")
    approve = page.locator("[data-decision=DECISION_ACCEPT]")
    await expect(approve).to_have_attribute("aria-disabled", "true")
    await expect(page.locator("#answer-why")).to_contain_text("Not connected")
    await expect(page.locator(".fact.is-stopped")).to_contain_text("the deadline still runs")
    await approve.click(force=True)
    await page.locator("#comment").fill("kept and more")
    await world.as_user("ben").hitl.AnswerPrompt(answer(closing))
    for n in range(2):
        await world.create_prompt(confirm(f"New {n}"))
    # A shorter absence is not worth a message. The page's own clock says when it is long enough.
    await page.wait_for_function("(since) => performance.now() - since > 2500", arg=left)
    await switch.start()
    await live(page)
    await expect(page.locator(".away")).to_contain_text("1 closed, 2 new")
    await expect(page.locator('[data-view="all"] .count')).to_have_text("3")
    await expect(page.locator("#comment")).to_have_value("kept and more")
    assert not (await world.prompt(shown.prompt_id)).submissions
    await settled(page)
    await approve.click()
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")
    assert (await world.prompt(shown.prompt_id)).submissions == 1


async def test_a_view_that_could_not_be_loaded_comes_with_the_connection(
    inbox: Inbox, switch: Switch
) -> None:
    inbox.complaints.allowed += ["ERR_", "WebSocket", "503", "502", "Failed to load"]
    diff = prompts.PromptPart(content_id="it", media_type="text/x-diff", text="@@ -1 +1 @@\n-old\n+new\n")
    prompt = await inbox.world.create_prompt(confirm("Which?", contents=[diff]))
    page = await inbox.open()
    await page.route("**/assets/diff_view.js*", lambda route: route.abort())
    await page.locator(f'[data-open="{prompt.prompt_id}"]').click()
    await expect(page.get_by_text("could not be loaded")).to_be_visible()
    await page.unroute("**/assets/diff_view.js*")
    await switch.stop()
    await page.wait_for_selector('[data-link="offline"], [data-link="connecting"]')
    await switch.start()
    await live(page)
    await expect(page.locator(".diff-added")).to_contain_text("new")
