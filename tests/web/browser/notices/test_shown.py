"""What a notification says, and when it goes away again."""

from dataclasses import dataclass

import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, live, settled
from tests.support.requests import answer, audience, confirm
from tests.web.browser.notices.watching import (
    browser_of,
    click,
    expect_open,
    expect_title,
    hidden,
    shown,
    turn_on,
)

PAUSE_MS = 10_000
"""The time between two alerts, as in client/web/src/view/alerts.ts."""


@dataclass
class Line:
    """The WebSockets of a page, which a test can cut."""

    is_up: bool = True
    open: WebSocketRoute | None = None

    async def connect(self, route: WebSocketRoute) -> None:
        """Let a socket through, or close it."""
        if not self.is_up:
            await route.close(code=1012)
            return
        route.connect_to_server()
        self.open = route

    async def cut(self) -> None:
        """Close what is open, and let nothing through."""
        self.is_up = False
        assert self.open is not None
        await self.open.close(code=1012)


async def test_without_a_choice_only_the_number_tells(inbox: Inbox) -> None:
    page = await inbox.tab(await browser_of(inbox))
    await live(page)
    await hidden(page)
    await inbox.world.create_prompt(confirm("Go?"))
    # A hidden page draws nothing: the number comes with the frame.
    await expect_title(page, "(1) Askback")
    await page.wait_for_function("() => badges.at(-1) === 1")
    assert await shown(page) == []
    assert await page.evaluate("notes") == []


async def test_a_notification_says_what_waits_and_opens_it(inbox: Inbox, page: Page) -> None:
    first = await inbox.world.create_prompt(confirm("First?"))
    await page.locator(f'[data-open="{first.prompt_id}"]').click()
    await settled(page)
    await page.locator("#comment").fill("half a sentence")
    await hidden(page)
    secret = {"body": "the password is 1234", "labels": {"token": "5678"}}
    second = await inbox.world.create_prompt(confirm("Pay \u202e5 €?", **secret))
    await expect_open(page, 1)
    assert await shown(page) == ["Pay <U+202E>5 €?|Confirmation · 2 questions wait"]
    assert await page.evaluate("[shown[0].tag, shown[0].silent, shown[0].actions ?? []]") == [
        "askback",
        True,
        [],
    ]
    await hidden(page, is_hidden=False)
    await hidden(page)
    await expect_open(page, 0)
    await inbox.world.create_prompt(confirm("Third?"))
    await page.wait_for_function("() => shown.length === 2")
    await click(page)
    await hidden(page, is_hidden=False)
    await expect(page.locator("#prompt-title")).to_have_text("Third?")
    await expect(page.locator("#prompt-title")).to_be_focused()
    await expect_open(page, 0)
    await page.locator(f'[data-open="{first.prompt_id}"]').click()
    await expect(page.locator("#comment")).to_have_value("half a sentence")
    assert (await inbox.world.prompt(second.prompt_id)).state == prompts.PROMPT_STATE_PENDING


async def test_a_flood_becomes_one_notification(inbox: Inbox) -> None:
    context = await browser_of(inbox)
    page = await context.new_page()
    await page.clock.install()
    inbox.complaints.watch(page)
    await page.goto(inbox.origin)
    await live(page)
    await turn_on(page, "Desktop notification")
    await hidden(page)
    await inbox.world.create_prompt(confirm("Question 0"))
    await expect_open(page, 1)
    for n in range(1, 31):
        await inbox.world.create_prompt(confirm(f"Question {n}"))
    await expect_title(page, "(31) Askback")
    assert len(await shown(page)) == 1
    await page.clock.fast_forward(PAUSE_MS)
    await page.wait_for_function("() => shown.length === 2")
    named = "\n".join(f"Question {n} (Confirmation)" for n in range(3))
    assert (await shown(page))[1] == f"31 new questions|{named}\nand 28 more"
    await expect_open(page, 1)
    await click(page)
    await hidden(page, is_hidden=False)
    await expect(page.locator(".row")).to_have_count(31)


async def test_what_came_while_the_page_was_away_is_summed_up(inbox: Inbox) -> None:
    context = await browser_of(inbox)
    line = Line()
    await context.route_web_socket("**/converse", line.connect)
    await inbox.world.create_prompt(confirm("Old?"))
    gone = await inbox.world.create_prompt(confirm("Gone?"))
    page = await inbox.tab(context)
    await live(page)
    await turn_on(page, "Desktop notification")
    await hidden(page)
    inbox.complaints.allowed += ["ERR_", "WebSocket"]
    await context.set_offline(True)
    await line.cut()
    for n in range(3):
        await inbox.world.create_prompt(confirm(f"New {n}"))
    await inbox.world.as_user("ben").hitl.AnswerPrompt(answer(gone))
    line.is_up = True
    await context.set_offline(False)
    await expect_title(page, "(4) Askback")
    await expect_open(page, 1)
    named = "\n".join(f"New {n} (Confirmation)" for n in range(3))
    assert await shown(page) == [f"3 new questions|{named}"]


@pytest.mark.parametrize("how", ["answered", "claimed"])
async def test_a_notification_that_is_moot_goes_away(inbox: Inbox, page: Page, how: str) -> None:
    await hidden(page)
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    await expect_open(page, 1)
    ben = inbox.world.as_user("ben").hitl
    if how == "answered":
        await ben.AnswerPrompt(answer(prompt))
    else:
        await ben.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=prompt.prompt_id))
    await expect_open(page, 0)


async def test_a_notification_that_is_moot_before_it_is_on_the_screen_goes_away(
    inbox: Inbox, page: Page
) -> None:
    """Chromium does not close one that it has not shown yet."""
    await hidden(page)
    await page.evaluate("() => { window.atOnce = () => hide(false); }")
    await inbox.world.create_prompt(confirm("Go?"))
    await page.wait_for_function("() => shown.length === 1 && document.visibilityState === 'visible'")
    await expect_open(page, 0)


async def test_a_prompt_of_others_is_no_news(inbox: Inbox, page: Page) -> None:
    await hidden(page)
    await inbox.world.create_prompt(confirm("For ben", audience=audience("ben")))
    await inbox.world.create_prompt(confirm("For ana", audience=audience("ana")))
    await expect_open(page, 1)
    assert await shown(page) == ["For ana|Confirmation"]
