"""Answering in the page: exactly what was on the screen is decided, once, and by a press that was meant."""

import asyncio
import json

from playwright.async_api import Locator, Page, expect

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, live, settled
from tests.support.requests import ACCEPT, REJECT, RESPOND, REVISE, answer, confirm, form

PENDING, ANSWERED = prompts.PROMPT_STATE_PENDING, prompts.PROMPT_STATE_ANSWERED


async def focused(page: Page) -> str:
    """The tag and the id of the element that has the focus."""
    found: str = await page.evaluate("document.activeElement.tagName + '#' + document.activeElement.id")
    return found


async def submissions(inbox: Inbox, prompt: prompts.Prompt) -> list[prompts.AnswerRecord]:
    """What was submitted to a prompt, refused answers included."""
    request = hitl.ListAnswersRequest(prompt_id=prompt.prompt_id)
    return list((await inbox.world.hitl.ListAnswers(request)).answers)


async def show(inbox: Inbox, prompt: prompts.Prompt, user: str = "ana") -> Page:
    """The page with this prompt, ready to be decided."""
    page = await inbox.open(user, f"/prompts/{prompt.prompt_id}")
    await settled(page)
    return page


async def middle(locator: Locator) -> tuple[float, float]:
    """Where to click on an element."""
    box = await locator.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def tombstone(page: Page) -> Locator:
    """Where a closed prompt says how it ended."""
    return page.locator(".tombstone-title")


async def test_a_prompt_is_opened_and_answered_by_keys_alone(inbox: Inbox) -> None:
    first = await inbox.world.create_prompt(confirm("First?", priority=5))
    second = await inbox.world.create_prompt(confirm("Second?"))
    page = await inbox.open()
    row = page.locator(f'[data-open="{first.prompt_id}"]')
    await expect(row).to_be_focused()
    await page.keyboard.press("Enter")
    await settled(page)
    await page.keyboard.press("a")
    await expect(tombstone(page)).to_contain_text("“Confirm” by you")
    stored = await inbox.world.prompt(first.prompt_id)
    assert (stored.state, stored.resolution.answer.decision) == (ANSWERED, ACCEPT)
    assert stored.resolution.answer.user_id == "ana"
    # The selection has not moved by itself, and the focus is somewhere.
    assert first.prompt_id in page.url
    assert await focused(page) != "BODY#"
    await page.keyboard.press("s")
    await expect(page.locator("#prompt-title")).to_have_text("Second?")
    assert (await inbox.world.prompt(second.prompt_id)).state == PENDING


async def test_a_key_decides_only_where_it_went_down(inbox: Inbox) -> None:
    first = await inbox.world.create_prompt(confirm("First?"))
    second = await inbox.world.create_prompt(confirm("Second?"))
    page = await show(inbox, first)
    await page.locator("#prompt-title").focus()
    await page.keyboard.down("a")
    await page.locator(f'[data-open="{second.prompt_id}"]').click()
    await settled(page)
    await page.keyboard.up("a")
    await page.keyboard.press("r")  # A later press acts, so the one before was taken and ignored.
    await expect(page.locator("#comment")).to_be_focused()
    for prompt in (first, second):
        assert not await submissions(inbox, prompt)


async def test_an_old_press_that_is_delivered_late_decides_nothing(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await show(inbox, prompt)
    await page.locator("#prompt-title").focus()
    press = """(age) => {
      for (const type of ["keydown", "keyup"]) {
        const event = new KeyboardEvent(type, {key: "r", bubbles: true});
        Object.defineProperty(event, "timeStamp", {value: performance.now() - age});
        document.activeElement.dispatchEvent(event);
      }
    }"""
    await page.evaluate(press, 60_000)
    await page.evaluate("new Promise(requestAnimationFrame)")
    await expect(page.locator("#prompt-title")).to_be_focused()
    await page.evaluate(press, 0)
    await expect(page.locator("#comment")).to_be_focused()


async def test_a_rejection_takes_a_reason_or_a_second_press(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await show(inbox, prompt)
    reject = page.locator("[data-decision=DECISION_REJECT]")
    await reject.click()
    await expect(page.locator("#answer-why")).to_contain_text("without a reason")
    assert not await submissions(inbox, prompt)
    await reject.click()
    await expect(tombstone(page)).to_contain_text("“Reject” by you")

    other = await inbox.world.create_prompt(confirm("Again?"))
    page = await show(inbox, other)
    await page.locator("#prompt-title").focus()
    await page.keyboard.press("r")
    await expect(page.locator("#comment")).to_be_focused()
    await page.keyboard.type("a rare case")  # Letters of a text decide nothing.
    await page.keyboard.press("Enter")
    assert not await submissions(inbox, other)
    await page.keyboard.press("Control+Enter")
    await expect(tombstone(page)).to_contain_text("“Reject” by you")
    [record] = await submissions(inbox, other)
    assert (record.answer.decision, record.answer.comment) == (REJECT, "a rare case")


async def test_a_decision_that_needs_a_comment_asks_for_it(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await show(inbox, prompt)
    await page.locator("[data-decision=DECISION_REVISE]").click()
    await expect(page.locator("#comment")).to_be_focused()
    await expect(page.locator("#answer-why")).to_contain_text("needs a comment")
    await page.keyboard.type("shorter, please")
    await page.keyboard.press("Control+Enter")
    await expect(tombstone(page)).to_contain_text("“Ask for changes” by you")
    [record] = await submissions(inbox, prompt)
    assert (record.answer.decision, record.answer.comment) == (REVISE, "shorter, please")


async def test_the_buttons_are_the_decisions_that_the_prompt_offers(inbox: Inbox) -> None:
    options = [
        prompts.DecisionOption(decision=REJECT, label="Do nothing"),
        prompts.DecisionOption(decision=ACCEPT, label="Confirm"),
    ]
    prompt = await inbox.world.create_prompt(confirm("Go?", decisions=options))
    page = await show(inbox, prompt)
    words = await page.locator("[data-decision] .decision-words").all_inner_texts()
    # A label that is not usual stands behind the verb, so that it cannot pass for another decision.
    assert [text.split() for text in words] == [["Reject", "Do", "nothing"], ["Confirm"]]


async def test_a_prompt_closed_elsewhere_stays_with_a_note_and_takes_no_key(inbox: Inbox) -> None:
    shown = await inbox.world.create_prompt(confirm("Shown?"))
    neighbour = await inbox.world.create_prompt(confirm("Neighbour?"))
    page = await show(inbox, shown)
    await page.locator("#comment").fill("what I wrote")
    await page.locator("#prompt-title").focus()
    ben = inbox.world.as_user("ben")
    await ben.hitl.AnswerPrompt(answer(shown, decision=REJECT, comment="not now"))
    await expect(tombstone(page)).to_contain_text("“Reject” by ben")
    await expect(page.locator(".tombstone-comment")).to_have_text("not now")
    await expect(page.get_by_label("Your text was not sent.")).to_have_value("what I wrote")
    await expect(page.locator("[data-command=copy]")).to_be_visible()
    assert shown.prompt_id in page.url
    assert await focused(page) != "BODY#"
    for key in ("a", "r", "Enter"):
        await page.keyboard.press(key)
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert not await submissions(inbox, neighbour)
    assert [record.answer.user_id for record in await submissions(inbox, shown)] == ["ben"]


async def test_two_people_press_at_once_and_the_loser_is_told_who_won(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    ana, ben = await show(inbox, prompt), await show(inbox, prompt, "ben")
    await ben.locator("#comment").fill("no")
    # The mouse does not wait for a button that has gone, as a click of Playwright does.
    approve = await middle(ana.locator("[data-decision=DECISION_ACCEPT]"))
    reject = await middle(ben.locator("[data-decision=DECISION_REJECT]"))
    await asyncio.gather(ana.mouse.click(*approve), ben.mouse.click(*reject))
    pages = {"ana": ana, "ben": ben}
    for page in pages.values():
        await expect(tombstone(page)).to_be_visible()
    winner = (await inbox.world.prompt(prompt.prompt_id)).resolution.answer.user_id
    await expect(tombstone(pages.pop(winner))).to_contain_text("by you")
    [loser] = pages.values()
    await expect(tombstone(loser)).to_contain_text(f"by {winner}")


async def test_an_amended_prompt_is_reviewed_before_it_can_be_decided(inbox: Inbox) -> None:
    lease = await inbox.world.lease_new_job("pay")
    prompt = await inbox.world.ask(lease, "k", confirm("Pay 41 EUR?"))
    page = await show(inbox, prompt)
    await page.locator("#comment").fill("for 41")
    await page.locator("#prompt-title").focus()
    await inbox.world.amend(lease, "k", "Pay 14 EUR?")
    review = page.locator("[data-command=review]")
    await expect(review).to_be_visible()
    # The page still shows what was read, without a button that could decide on the other.
    await expect(page.locator("#prompt-title")).to_have_text("Pay 41 EUR?")
    await expect(page.locator("[data-decision]")).to_have_count(0)
    await page.keyboard.press("a")
    await review.click()
    await expect(page.locator("#prompt-title")).to_have_text("Pay 14 EUR?")
    await expect(page.locator(".notice").first).to_contain_text(
        "What changed between version 1 and version 2"
    )
    # What was written for the old one is offered, not filled in.
    await expect(page.locator("#comment")).to_have_value("")
    await page.get_by_role("button", name="Use this text").click()
    await expect(page.locator("#comment")).to_have_value("for 41")
    await settled(page)
    await page.locator("[data-decision=DECISION_ACCEPT]").click()
    await expect(tombstone(page)).to_contain_text("“Confirm” by you")
    [record] = await submissions(inbox, prompt)
    assert (record.answer.revision, record.answer.comment) == (2, "for 41")


async def test_an_approval_of_what_was_not_scrolled_into_view_is_asked_about(inbox: Inbox) -> None:
    body = "\n\n".join(f"Line {n}" for n in range(200))
    prompt = await inbox.world.create_prompt(confirm("All fine?", body=body))
    page = await show(inbox, prompt)
    await expect(page.locator("#answer-why")).to_contain_text("not seen yet")
    approve = page.locator("[data-decision=DECISION_ACCEPT]")
    await approve.click()
    await expect(page.locator("#answer-why")).to_contain_text("again to decide all the same")
    assert not await submissions(inbox, prompt)
    await approve.click()
    await expect(tombstone(page)).to_contain_text("“Confirm” by you")


async def test_a_form_is_filled_in_by_keys_and_keeps_every_digit(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(form("How many?"))
    page = await show(inbox, prompt)
    await page.locator("#prompt-title").focus()
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".form-box [aria-invalid=true]").first).to_be_focused()
    assert not await submissions(inbox, prompt)
    await page.keyboard.type("9007199254740993")
    await page.keyboard.press("Control+Enter")
    await expect(tombstone(page)).to_contain_text("“Answer” by you")
    [record] = await submissions(inbox, prompt)
    assert record.answer.decision == RESPOND
    assert json.loads(record.answer.values_json) == {"n": 9007199254740993}
    await expect(page.locator(".form-box")).to_contain_text("9007199254740993")


async def test_what_is_wrong_with_a_field_is_in_sight_beside_the_decisions(inbox: Inbox) -> None:
    """The reason was drawn below the field, behind the edge of the scrolled part."""
    prompt = await inbox.world.create_prompt(form("How many?", body="\n\n".join(["A line."] * 60)))
    page = await show(inbox, prompt)
    field = page.locator(".form-box input").first
    await field.fill("ten")
    # The field is the last thing in sight, as it is where the keyboard led to it.
    await field.evaluate("(field) => field.scrollIntoView({ block: 'end' })")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#answer-why")).to_contain_text("fill them in or correct them")
    await expect(field).to_be_focused()
    await expect(page.locator(".form-box .form-problem")).to_be_in_viewport(ratio=0.9)
    assert not await submissions(inbox, prompt)


async def test_text_stays_with_its_prompt_and_survives_a_reload(inbox: Inbox) -> None:
    first = await inbox.world.create_prompt(confirm("First?"))
    second = await inbox.world.create_prompt(confirm("Second?"))
    page = await show(inbox, first)
    await page.locator("#comment").fill("about the first")
    await page.locator(f'[data-open="{second.prompt_id}"]').click()
    await expect(page.locator("#prompt-title")).to_have_text("Second?")
    await expect(page.locator("#comment")).to_have_value("")
    await page.locator(f'[data-open="{first.prompt_id}"]').click()
    await expect(page.locator("#comment")).to_have_value("about the first")
    await page.reload()
    await live(page)
    await expect(page.locator("#comment")).to_have_value("about the first")
    await expect(page.locator(".notice")).to_contain_text("is filled in")


async def test_a_claim_of_someone_else_is_said_at_the_buttons_and_touches_no_text(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await show(inbox, prompt)
    await page.locator("#comment").fill("mine")
    ben = inbox.world.as_user("ben")
    await ben.hitl.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=prompt.prompt_id))
    why = page.locator("#answer-why")
    await expect(why).to_contain_text("Claimed by ben until")
    approve = page.locator("[data-decision=DECISION_ACCEPT]")
    await expect(approve).to_have_attribute("aria-disabled", "true")
    await expect(approve).to_have_attribute("aria-describedby", "answer-why")
    await expect(page.locator("#comment")).to_have_value("mine")
    await ben.hitl.ReleasePrompt(hitl.ReleasePromptRequest(prompt_id=prompt.prompt_id))
    await expect(approve).to_have_attribute("aria-disabled", "false")
    await page.locator("[data-command=claim]").click()
    await expect(page.locator(".claim-line")).to_contain_text("Claimed by you until")
    assert (await inbox.world.prompt(prompt.prompt_id)).claimed_by == "ana"
    await page.locator("[data-command=release]").click()
    await expect(page.locator(".claim-line")).to_contain_text("Not claimed")


async def test_a_link_to_a_prompt_fills_nothing_in(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(form("How many?"))
    page = await inbox.open(path=f"/prompts/{prompt.prompt_id}?decision=DECISION_ACCEPT&comment=hello&n=5")
    await settled(page)
    await expect(page.locator("#comment")).to_have_value("")
    assert await page.locator(".form-box input").first.input_value() == ""
    assert not await submissions(inbox, prompt)


async def test_a_prompt_that_is_not_there_is_said_to_be_missing(inbox: Inbox) -> None:
    inbox.complaints.allowed.append("404")
    page = await inbox.open(path="/prompts/0190aaaa-0000-7000-8000-000000000001")
    await expect(page.locator(".error-note")).to_contain_text(
        "There is no such question, or it is not for you"
    )


async def test_the_focus_never_falls_to_the_body(inbox: Inbox) -> None:
    first = await inbox.world.create_prompt(confirm("First?"))
    second = await inbox.world.create_prompt(confirm("Second?"))
    page = await show(inbox, first)
    await page.locator("[data-decision=DECISION_ACCEPT]").focus()
    await page.keyboard.press("Enter")
    await expect(tombstone(page)).to_contain_text("“Confirm” by you")
    assert await focused(page) == "H1#prompt-title"
    await page.locator('[data-command=next][aria-disabled="false"]').focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#prompt-title")).to_have_text("Second?")
    assert await focused(page) != "BODY#"
    await page.locator("#comment").focus()
    await inbox.world.as_user("ben").hitl.AnswerPrompt(answer(second))
    await expect(tombstone(page)).to_contain_text("“Confirm” by ben")
    assert await focused(page) == "H1#prompt-title"


async def test_an_answer_names_the_content_that_was_painted(inbox: Inbox) -> None:
    """By revision and digest, in a single answer and in one of several."""
    prompt = await inbox.world.create_prompt(confirm("Pay 41 EUR?"))
    sent: list[str] = []
    page = await inbox.open("ana", f"/prompts/{prompt.prompt_id}")
    page.on("websocket", lambda socket: socket.on("framesent", lambda text: sent.append(str(text))))
    await page.reload()
    await settled(page)
    await page.locator("[data-decision=DECISION_ACCEPT]").click()
    await expect(tombstone(page)).to_contain_text("“Confirm” by you")
    [frame] = [text for text in sent if "answerPrompt" in text]
    assert f'"shownDigest":"{prompt.shown_digest}"' in frame.replace(" ", "")
    assert '"revision":1' in frame.replace(" ", "")
