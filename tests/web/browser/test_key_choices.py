"""Keys that a person changes: in the settings, and everywhere where a key acts or is shown."""

from playwright.async_api import Locator, Page, expect

from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, axe, live, settled
from tests.support.requests import confirm

APPROVE = "approve it as it is"


def row(page: Page, command: str) -> Locator:
    """The row of a command in the settings."""
    return page.locator(f'.key-settings li[data-command="key.{command}"]')


async def add(page: Page, command: str, key: str) -> None:
    """Add a key to a command."""
    await row(page, command).locator(".key-add").click()
    await page.keyboard.press(key)


async def remove(page: Page, command: str, key: str) -> None:
    """Take a key from a command."""
    await row(page, command).locator(".key-choice", has_text=key).click()


async def test_another_key_acts_and_is_shown_everywhere(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await inbox.open(path="/settings")
    await add(page, "approve", "y")
    await expect(row(page, "approve").locator("kbd")).to_have_text(["a", "y"])
    await remove(page, "approve", "a")
    await expect(row(page, "approve").locator("kbd")).to_have_text(["y"])
    await expect(row(page, "approve").locator(".key-add")).to_be_focused()
    await add(page, "search", "f")
    await remove(page, "search", "/")
    await remove(page, "next", "j")
    await expect(row(page, "next")).to_contain_text("no key")
    await page.goto(f"{inbox.origin}/prompts/{prompt.prompt_id}")
    await settled(page)
    button = page.locator("[data-decision=DECISION_ACCEPT]")
    await expect(button.locator(".key")).to_have_text("y")
    assert await button.get_attribute("aria-keyshortcuts") == "y"
    await page.locator("#prompt-title").focus()
    await page.keyboard.press("?")
    line = page.get_by_role("dialog").locator("dl.keys > div", has_text=APPROVE)
    await expect(line.locator("kbd")).to_have_text(["y"])
    await page.keyboard.press("Escape")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("search")
    await expect(page.get_by_role("option").locator(".key")).to_have_text("f")
    await page.keyboard.press("Escape")
    await settled(page)
    await page.locator("#prompt-title").focus()
    await page.keyboard.press("a")
    await page.keyboard.press("j")
    await page.keyboard.press("f")
    await expect(page.locator("#search")).to_be_focused()
    stored = await inbox.world.prompt(prompt.prompt_id)
    assert (stored.state, stored.submissions) == (prompts.PROMPT_STATE_PENDING, 0)
    await page.locator("#prompt-title").focus()
    await page.keyboard.press("y")
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")


async def test_a_key_of_another_command_is_refused(inbox: Inbox) -> None:
    page = await inbox.open(path="/settings")
    before = page.url
    await add(page, "approve", "r")
    said = row(page, "approve").locator(".key-said")
    await expect(said).to_have_text("“r” belongs to: reject it; asks for a reason. Remove it there first.")
    await expect(row(page, "approve").locator("kbd")).to_have_text(["a"])
    # It still waits for a key, which does nothing else meanwhile.
    await page.keyboard.press("?")
    await expect(said).to_contain_text("“?” belongs to: show these keys")
    await page.keyboard.press("Control+y")
    await expect(said).to_contain_text("“y” cannot be used")
    await page.keyboard.press("F2")
    await expect(said).to_contain_text("“F2” cannot be used")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.url == before
    assert await axe(page) == []
    await page.keyboard.press("Escape")
    await expect(row(page, "approve").locator(".key-add")).to_have_text("Add a key")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_have_count(1)


async def test_the_usual_keys_come_back(inbox: Inbox) -> None:
    page = await inbox.open(path="/settings")
    reset = page.get_by_role("button", name="Back to the usual keys")
    await expect(reset).to_have_attribute("aria-disabled", "true")
    await remove(page, "skip", "s")
    await add(page, "approve", "s")
    await expect(row(page, "approve").locator("kbd")).to_have_text(["a", "s"])
    await page.reload()
    await live(page)
    await expect(row(page, "approve").locator("kbd")).to_have_text(["a", "s"])
    await reset.click()
    await expect(row(page, "approve").locator("kbd")).to_have_text(["a"])
    await expect(row(page, "skip").locator("kbd")).to_have_text(["s"])
    await expect(page.locator(".key-settings [role=status]")).to_have_text("The usual keys are back.")


async def test_keys_are_changed_by_keys_alone(inbox: Inbox) -> None:
    page = await inbox.open(path="/settings")
    await row(page, "skip").locator(".key-choice").focus()
    await page.keyboard.press("Enter")
    await expect(row(page, "skip").locator(".key-add")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("x")
    await expect(row(page, "skip").locator("kbd")).to_have_text(["x"])
    await expect(row(page, "skip").locator(".key-add")).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await expect(row(page, "skip").locator(".key-choice")).to_be_focused()
