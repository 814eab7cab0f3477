"""No press decides what was not meant: text that goes on after its question closed, taps in one place."""

import pytest
from playwright.async_api import Page, expect

from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, live, saved, settled
from tests.support.requests import REJECT, answer, confirm, form
from tests.web.browser.test_answering import focused, middle, show, submissions, tombstone

PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}

TAPS = """async ([x, y]) => {
  const first = performance.now();
  for (const after of [350, 700, 1050]) {
    const target = document.elementFromPoint(x, y);
    for (const event of [new PointerEvent("pointerdown", {bubbles: true}),
                         new MouseEvent("click", {bubbles: true, detail: 1})]) {
      Object.defineProperty(event, "timeStamp", {value: first + after});
      target.dispatchEvent(event);
    }
    for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
  }
  while (performance.now() < first + 1850) await new Promise(requestAnimationFrame);
}"""
"""A finger that goes on tapping at one place, every 350 ms by the time stamps; then their time passes."""


async def settled_next(page: Page) -> None:
    """Wait until the button for the next question acts."""
    await page.wait_for_selector('[data-command=next][aria-disabled="false"]')


async def test_a_sentence_goes_on_in_the_kept_text_when_its_question_closes(inbox: Inbox) -> None:
    """Letters of the rest would skip to the next question, approve it, and write into a third one."""
    world = inbox.world
    asked = [await world.create_prompt(confirm(f"Number {n}?", priority=9 - n)) for n in range(3)]
    page = await show(inbox, asked[0])
    await page.locator("#prompt-title").focus()
    await page.keyboard.press("c")
    await page.keyboard.type("because the cause ")
    await world.as_user("ben").hitl.AnswerPrompt(answer(asked[0], decision=REJECT))
    await expect(tombstone(page)).to_contain_text("“Reject” by ben")
    kept = page.get_by_label("Your text was not sent.")
    await expect(kept).to_be_focused()
    await page.keyboard.type("is a stale cache, s a c")
    await page.locator("#prompt-title").focus()
    await settled_next(page)
    await page.keyboard.press("s")  # A key that is meant acts, so those before were taken and ignored.
    await expect(page.locator("#prompt-title")).to_have_text("Number 1?")
    for prompt in asked[1:]:
        assert not await submissions(inbox, prompt)


async def test_letters_wait_after_a_text_left_the_page_until_the_person_moves_the_focus(inbox: Inbox) -> None:
    """Nothing was typed yet, so nothing is kept that the focus could go to."""
    world = inbox.world
    asked = [await world.create_prompt(confirm(f"Number {n}?", priority=9 - n)) for n in range(2)]
    page = await show(inbox, asked[0])
    await page.locator("#comment").focus()
    await world.as_user("ben").hitl.AnswerPrompt(answer(asked[0], decision=REJECT))
    await expect(tombstone(page)).to_contain_text("“Reject” by ben")
    await expect(page.locator(".tombstone")).to_contain_text("letters act again")
    assert await focused(page) == "H1#prompt-title"
    await settled_next(page)
    await page.keyboard.type("s?sa")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.press("Tab")
    await expect(page.locator(".tombstone")).not_to_contain_text("letters act again")
    await expect(page.locator("#prompt-title")).to_have_text("Number 0?")
    await page.keyboard.press("s")
    await expect(page.locator("#prompt-title")).to_have_text("Number 1?")
    assert not await submissions(inbox, asked[1])


async def test_a_finger_that_goes_on_tapping_decides_one_question(inbox: Inbox) -> None:
    world = inbox.world
    asked = [await world.create_prompt(confirm(f"Number {n}?", priority=9 - n)) for n in range(3)]
    page = await inbox.open(path=f"/prompts/{asked[0].prompt_id}", **PHONE)
    await settled(page)
    place = await middle(page.locator("[data-decision=DECISION_ACCEPT]"))
    await page.touchscreen.tap(*place)
    await page.locator("[data-command=next]").wait_for()
    await page.evaluate(TAPS, place)
    await expect(page.locator("#prompt-title")).to_have_text("Number 0?")
    await settled_next(page)
    await page.locator("[data-command=next]").tap()
    await expect(page.locator("#prompt-title")).to_have_text("Number 1?")
    await page.locator("[data-decision]").first.wait_for()
    await page.evaluate(TAPS, place)
    await expect(page.locator("#prompt-title")).to_have_text("Number 1?")
    await live(page)
    for prompt in asked[1:]:
        assert not await submissions(inbox, prompt)


async def test_ctrl_enter_without_a_decision_says_what_to_choose_and_keeps_the_focus(inbox: Inbox) -> None:
    """With the focus on a button, the next Space approved a question with an objection as its comment."""
    prompt = await inbox.world.create_prompt(confirm("Delete the customer table?"))
    page = await show(inbox, prompt)
    comment = page.locator("#comment")
    await comment.fill("no, it is in use")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#answer-why")).to_contain_text("Choose: Confirm, Ask for changes or Reject")
    await expect(comment).to_be_focused()
    await page.keyboard.press("Space")
    await expect(comment).to_have_value("no, it is in use ")
    assert not await submissions(inbox, prompt)
    await page.locator("[data-decision=DECISION_REJECT]").click()
    await expect(tombstone(page)).to_contain_text("“Reject” by you")


@pytest.mark.parametrize("kind", ["confirm", "clarify"])
async def test_the_fields_of_a_form_count_as_text_to_be_seen(inbox: Inbox, kind: str) -> None:
    """They are below a short text; one press would approve values that were never on the screen."""
    questions = [
        prompts.Question(
            question_id=f"q{n}", title=f"Field {n}", boolean=prompts.BooleanInput(default_value=n == 19)
        )
        for n in range(20)
    ]
    prompt = await inbox.world.create_prompt(
        confirm("Go?", kind=kind, body="Short.", questions=prompts.QuestionForm(questions=questions))
    )
    page = await show(inbox, prompt)
    why = page.locator("#answer-why")
    await expect(why).to_contain_text("not seen yet")
    yes = page.locator("[data-decision]").first
    await yes.click()
    await expect(why).to_contain_text("were not on your screen")
    assert not await submissions(inbox, prompt)
    last = page.locator("fieldset", has_text="Field 19")
    await expect(last.locator("legend")).to_contain_text("(default)")
    await last.get_by_label("No", exact=True).check()
    await expect(last.locator("legend")).not_to_contain_text("(default)")


async def test_changes_are_offered_where_something_can_be_changed(inbox: Inbox) -> None:
    text = prompts.PromptPart(content_id="text", title="Text", media_type="text/plain", text="as it is")
    fixed = await inbox.world.create_prompt(confirm("Fixed?", kind="preview", contents=[text]))
    text.editable = True
    editable = await inbox.world.create_prompt(confirm("Editable?", kind="preview", contents=[text]))
    page = await show(inbox, fixed)
    await expect(page.locator("[data-decision=DECISION_ACCEPT]")).to_be_visible()
    await expect(page.locator("[data-decision=DECISION_EDIT]")).to_have_count(0)
    await page.locator(f'[data-open="{editable.prompt_id}"]').click()
    await expect(page.locator("[data-decision=DECISION_EDIT]")).to_be_visible()


async def test_a_restored_text_is_not_called_unsent_after_the_decision(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await show(inbox, prompt)
    await page.locator("#comment").fill("a reason")
    await saved(page, "a reason")
    await page.reload()
    await expect(page.locator(".detail")).to_contain_text("Your unsent text")
    await settled(page)
    reject = page.locator("[data-decision=DECISION_REJECT]")
    await page.locator("#comment").fill("")
    await reject.click()
    await expect(page.locator(".comment")).to_contain_text("the reason for “Reject”")
    await expect(page.locator(".comment")).not_to_contain_text("Ask for changes")
    await reject.click()
    await expect(tombstone(page)).to_contain_text("“Reject” by you")
    await expect(page.locator(".detail")).not_to_contain_text("unsent text")


async def test_the_other_layout_of_a_diff_keeps_what_was_seen(inbox: Inbox) -> None:
    lines = "".join(f"-old {n}\n+new {n}\n" for n in range(80))
    text = f"--- a/file\n+++ b/file\n@@ -1,80 +1,80 @@\n{lines}"
    part = prompts.PromptPart(content_id="diff", media_type="text/x-diff", text=text)
    page = await show(inbox, await inbox.world.create_prompt(confirm("Merge?", contents=[part])))
    why = page.locator("#answer-why")
    await expect(why).to_contain_text("not seen yet")
    while await page.locator("[data-command=scroll]").count():
        await page.locator("[data-command=scroll]").click()
        await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    await expect(why).to_contain_text("You have seen all of it")
    await page.get_by_role("button", name="Side by side").click()
    await expect(page.locator(".diff-split")).to_be_visible()
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    await expect(why).to_contain_text("You have seen all of it")


async def test_enter_at_the_row_of_the_open_question_begins_an_answer_where_one_is_asked_for(
    inbox: Inbox,
) -> None:
    for content in (form("How many crates?", priority=2), confirm("Go?", priority=1)):
        await inbox.world.create_prompt(content)
    page = await inbox.open()
    rows = page.locator("[data-open]")
    await rows.first.focus()
    # The Enter that opens a question does nothing else.
    await page.keyboard.press("Enter")
    await settled(page)
    await expect(rows.first).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("textbox", name="How many?")).to_be_focused()
    # A question that wants a decision keeps the letters.
    await rows.nth(1).click()
    await settled(page)
    await page.keyboard.press("Enter")
    await expect(rows.nth(1)).to_be_focused()
    await page.keyboard.press("a")
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")
