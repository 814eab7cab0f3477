"""A press within 300 ms of a change of what it would act on does nothing, also where the page itself asks."""

from playwright.async_api import expect

from tests.support.browser import Inbox, settled
from tests.support.requests import confirm
from tests.web.browser.test_answering import show, submissions

TWICE = """(key) => {
  const at = performance.now();
  for (const type of ["keydown", "keyup", "keydown", "keyup"]) {
    const event = new KeyboardEvent(type, {key, bubbles: true});
    Object.defineProperty(event, "timeStamp", {value: at});
    document.activeElement.dispatchEvent(event);
  }
}"""
"""A key that bounces, or a double press: both come before the question could be read."""

LONG = "\n\n".join(f"Line {number}" for number in range(300))


async def test_a_double_press_does_not_say_yes_to_a_question_that_it_raised(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go?", body=LONG))
    page = await show(inbox, prompt)
    await page.locator("#prompt-title").focus()
    await page.evaluate(TWICE, "a")
    await expect(page.locator("#answer-why")).to_contain_text("were not on your screen")
    await settled(page)
    assert not await submissions(inbox, prompt)
    # A press after the dead time does.
    await page.keyboard.press("a")
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")


async def test_a_double_click_does_not_reject_without_a_reason(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await show(inbox, prompt)
    await page.locator("[data-decision=DECISION_REJECT]").dblclick()
    await expect(page.locator("#answer-why")).to_contain_text("without a reason")
    await settled(page)
    assert not await submissions(inbox, prompt)


async def test_keys_that_lead_into_a_text_have_the_dead_time_too(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await show(inbox, prompt)
    await page.locator("#prompt-title").focus()
    press = TWICE.replace("performance.now()", "performance.now() - 60000")
    await page.evaluate(press, "v")
    await page.evaluate("new Promise(requestAnimationFrame)")
    await expect(page.locator("#prompt-title")).to_be_focused()
    await page.keyboard.press("v")
    await expect(page.locator("#comment")).to_be_focused()
