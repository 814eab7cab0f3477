"""Whether the person looks: at the window, and at one of several tabs."""

from playwright.async_api import Page, expect

from tests.support.browser import Inbox, live
from tests.support.processes import eventually
from tests.support.requests import answer, confirm
from tests.web.browser.notices.watching import browser_of, expect_open, expect_title, hidden, shown, turn_on

_BOTH_LOOKED_AT = """
async () => (await navigator.locks.query()).held.filter(({name}) => name === "askback-looking").length === 2
"""


async def test_nothing_is_shown_while_the_person_looks(inbox: Inbox, page: Page) -> None:
    await inbox.world.create_prompt(confirm("Seen?"))
    await expect_title(page, "(1) Askback")
    await expect(page.locator(".row-words")).to_have_text("Seen?")
    await hidden(page)
    await inbox.world.create_prompt(confirm("Not seen?"))
    await expect_open(page, 1)
    assert await shown(page) == ["Not seen?|Confirmation · 2 questions wait"]


async def test_a_window_behind_another_one_is_told(inbox: Inbox) -> None:
    """The focus is Chromium's own here: a window that can be seen is not one that is looked at."""
    context = await browser_of(inbox, real_focus=True)
    page = await inbox.tab(context)
    await live(page)
    await turn_on(page, "Desktop notification")
    front = await context.new_page()
    for tab in (page, front):
        session = await context.new_cdp_session(tab)
        await session.send("Emulation.setFocusEmulationEnabled", {"enabled": False})
    await front.bring_to_front()
    await page.wait_for_function("() => !document.hasFocus()")
    await inbox.world.create_prompt(confirm("Go?"))
    await expect_open(page, 1)
    await page.bring_to_front()
    await expect_open(page, 0)
    assert await shown(page) == ["Go?|Confirmation"]


async def test_one_tab_of_a_browser_notifies(inbox: Inbox, page: Page) -> None:
    other = await inbox.tab(page.context)
    await live(other)
    for tab in (page, other):
        await hidden(tab)
    first = await inbox.world.create_prompt(confirm("First?"))
    for tab in (page, other):
        await expect_title(tab, "(1) Askback")
    await expect_open(page, 1)
    # The other one has no turn. When the person looks at it, the news ends in both.
    assert await shown(other) == []
    await hidden(other, is_hidden=False)
    await expect_open(page, 0)
    await inbox.world.create_prompt(confirm("Second?"))
    await expect_title(page, "(2) Askback")
    await expect_title(other, "(2) Askback")
    await hidden(other)
    # The tab that had the turn is closed: the next one takes it.
    await page.close()
    await inbox.world.as_user("ben").hitl.AnswerPrompt(answer(first))
    await inbox.world.create_prompt(confirm("Third?"))
    await expect_open(other, 1)
    assert await shown(other) == ["Third?|Confirmation · 2 questions wait"]


async def test_a_tab_that_is_looked_at_is_enough(inbox: Inbox, page: Page) -> None:
    other = await inbox.tab(page.context)
    await live(other)
    # A tab is looked at once its notices have loaded, which may be after it is live.
    await eventually(lambda: page.evaluate(_BOTH_LOOKED_AT), "both tabs are looked at")
    await hidden(page)
    await inbox.world.create_prompt(confirm("Seen?"))
    await expect_title(page, "(1) Askback")
    # Behind it the page asks in the same way whether the person looks at a tab.
    await page.evaluate("navigator.locks.query().then(() => 1)")
    await hidden(other)
    await inbox.world.create_prompt(confirm("Not seen?"))
    await expect_open(page, 1)
    assert await shown(page) == ["Not seen?|Confirmation · 2 questions wait"]
