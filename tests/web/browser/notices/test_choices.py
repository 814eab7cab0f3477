"""What the person chooses in the settings, and what the browser says to it."""

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Inbox, axe, live
from tests.support.requests import answer, confirm
from tests.web.browser.notices.watching import browser_of, expect_title, hidden, shown, turn_on


async def test_a_setting_of_one_tab_holds_in_the_others(inbox: Inbox, page: Page) -> None:
    other = await inbox.tab(page.context, "/settings")
    await live(other)
    box = other.get_by_role("checkbox", name="Desktop notification")
    await expect(box).to_be_checked()
    await page.get_by_role("link", name="Settings").click()
    await page.get_by_role("checkbox", name="Desktop notification").uncheck()
    await expect(box).not_to_be_checked()


async def test_a_refusal_of_the_browser_is_explained(inbox: Inbox) -> None:
    page = await inbox.tab(await browser_of(inbox, allowed=False), "/settings")
    session = await page.context.new_cdp_session(page)
    denied = {"permission": {"name": "notifications"}, "setting": "denied", "origin": inbox.origin}
    await session.send("Browser.setPermission", denied)
    box = page.get_by_role("checkbox", name="Desktop notification")
    await expect(page.locator("#notices-blocked")).to_have_text("")
    await box.click()
    await expect(page.locator("#notices-blocked")).to_contain_text("This browser blocks notifications")
    await expect(box).not_to_be_checked()
    assert await axe(page) == []


@pytest.mark.parametrize("answered", ["denied", "default"])
async def test_a_browser_that_never_replies_leaves_the_choice_off(inbox: Inbox, answered: str) -> None:
    """A box that stays ticked meanwhile promises what will not come."""
    page = await inbox.tab(await browser_of(inbox, allowed=False), "/settings")
    await page.evaluate(
        """(answered) => {
          Notification.requestPermission = () => new Promise(() => {});
          Object.defineProperty(Notification, "permission", {get: () => answered});
        }""",
        answered,
    )
    box = page.get_by_role("checkbox", name="Desktop notification")
    await box.click()
    text = {"denied": "This browser blocks notifications", "default": "Your browser asks"}
    await expect(page.locator("#notices-blocked")).to_contain_text(text[answered])
    await expect(box).not_to_be_checked()


async def test_the_browser_is_asked_in_the_click(inbox: Inbox) -> None:
    page = await inbox.tab(await browser_of(inbox, allowed=False), "/settings")
    await page.evaluate("""() => {
      Notification.requestPermission = async () => {
        window.asked = window.event?.type;
        return "granted";
      };
    }""")
    assert await page.evaluate("window.asked") is None
    await page.get_by_role("checkbox", name="Desktop notification").check()
    assert await page.evaluate("window.asked") == "change"
    await page.get_by_role("button", name="Show one").click()


async def test_a_tone_is_off_until_it_is_wanted_and_has_a_volume(inbox: Inbox) -> None:
    page = await inbox.tab(await browser_of(inbox))
    await live(page)
    await page.get_by_role("link", name="Settings").click()
    sound = page.get_by_role("checkbox", name="Sound")
    await expect(sound).not_to_be_checked()
    await sound.check()
    await page.get_by_role("slider", name="Volume").fill("25")
    await page.get_by_role("button", name="Play it").click()
    await page.wait_for_function("() => notes.length === 2")
    assert await page.evaluate("loudest") == pytest.approx(0.1)
    await hidden(page)
    await inbox.world.create_prompt(confirm("Go?"))
    await page.wait_for_function("() => notes.length === 4")
    assert await page.evaluate("loudest") == pytest.approx(0.1)
    # No notification comes with it: that is a setting of its own.
    assert await shown(page) == []


async def test_the_title_says_what_waits_where_that_is_wanted(inbox: Inbox) -> None:
    page = await inbox.tab(await browser_of(inbox))
    await live(page)
    await turn_on(page, "Question in the tab’s title")
    first = await inbox.world.create_prompt(confirm("First\u202e?"))
    await expect_title(page, "(1) Askback")
    await hidden(page)
    await inbox.world.create_prompt(confirm("Second?"))
    await expect_title(page, "(2) Second? – Askback")
    await hidden(page, is_hidden=False)
    await expect_title(page, "(2) Askback")
    await page.locator(f'[data-open="{first.prompt_id}"]').click()
    await expect_title(page, "(2) First<U+202E>? – Askback")
    await inbox.world.as_user("ben").hitl.AnswerPrompt(answer(first))
    await expect_title(page, "(1) Askback")
