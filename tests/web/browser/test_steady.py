"""What a person looks at stays: under a list that changes, over a reload, and with two tabs of one person."""

import pytest
from playwright.async_api import Page, expect

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, live, saved, settled
from tests.support.requests import answer, confirm

OPENING = """
if (!sessionStorage.getItem("opened")) {
  sessionStorage.setItem("opened", "yes");
  IDBFactory.prototype.open = () => ({});
}
"""
"""The database of the first page in a tab is never open: the browser takes long."""
APPROVE = "[data-decision=DECISION_ACCEPT]"


async def submissions(inbox: Inbox, prompt: prompts.Prompt) -> list[prompts.AnswerRecord]:
    """What was submitted to a prompt, refused answers included."""
    request = hitl.ListAnswersRequest(prompt_id=prompt.prompt_id)
    return list((await inbox.world.hitl.ListAnswers(request)).answers)


async def selected(page: Page) -> list[str | None]:
    """The ids of the rows that are marked as selected."""
    rows = await page.locator(".row.is-selected").all()
    return [await row.get_attribute("data-row") for row in rows]


@pytest.mark.parametrize("inside", [True, False], ids=["in the list", "outside"])
async def test_a_changing_list_never_moves_the_selection(inbox: Inbox, inside: bool) -> None:
    """The row above closes, rows arrive above and below: a key acts on the prompt that is shown."""
    world = inbox.world
    above = await world.create_prompt(confirm("Above?", priority=5))
    shown = await world.create_prompt(confirm("Shown?"))
    below = await world.create_prompt(confirm("Below?", priority=-5))
    page = await inbox.open()
    await page.locator(f'[data-open="{shown.prompt_id}"]').click()
    await settled(page)
    if not inside:
        await page.locator("#prompt-title").focus()
        await page.mouse.move(900, 500)
    ben = world.as_user("ben")
    others = [above, below]
    for n in range(3):
        await ben.hitl.AnswerPrompt(answer(others.pop(0)))
        others += [await world.create_prompt(confirm(f"High {n}?", priority=9 + n))]
        others += [await world.create_prompt(confirm(f"Low {n}?", priority=-9 - n))]
        # The page has all of it. New rows wait while a person is in the list.
        new = sum(prompt not in (above, below) for prompt in others)
        if inside:
            await expect(page.locator(".waiting-button")).to_contain_text(f"{new} new")
        else:
            await expect(page.locator('[data-view="all"] .count')).to_have_text(str(len(others) + 1))
        assert await selected(page) == [shown.prompt_id]
        await expect(page.locator("#prompt-title")).to_have_text("Shown?")
        assert shown.prompt_id in page.url
    await settled(page)
    await page.locator("#prompt-title").focus()
    await page.keyboard.press("a")
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")
    assert [record.answer.user_id for record in await submissions(inbox, shown)] == ["ana"]
    for prompt in others:
        assert not await submissions(inbox, prompt)
    assert [record.answer.user_id for record in await submissions(inbox, above)] == ["ben"]


async def test_enter_opens_the_row_that_had_the_focus(inbox: Inbox) -> None:
    """The row under the focus stays under it while its neighbours close, and when it closes itself."""
    world = inbox.world
    above = await world.create_prompt(confirm("Above?", priority=5))
    focused = await world.create_prompt(confirm("Focused?"))
    page = await inbox.open()
    row = page.locator(f'[data-open="{focused.prompt_id}"]')
    await expect(page.locator(f'[data-open="{above.prompt_id}"]')).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(row).to_be_focused()
    box = await row.bounding_box()
    ben = world.as_user("ben")
    await ben.hitl.AnswerPrompt(answer(above))
    await world.create_prompt(confirm("High?", priority=9))
    await expect(page.locator(".waiting-button")).to_contain_text("1 new")
    await expect(page.locator(f'[data-row="{above.prompt_id}"].is-closed')).to_be_visible()
    await expect(row).to_be_focused()
    moved = await row.bounding_box()
    assert box is not None
    assert moved is not None
    assert abs(moved["y"] - box["y"]) < box["height"] / 4, "a pointer over it is still over it"
    await ben.hitl.AnswerPrompt(answer(focused, answer_id="a-2"))
    await expect(page.locator(f'[data-row="{focused.prompt_id}"].is-closed')).to_be_visible()
    await expect(row).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#prompt-title")).to_have_text("Focused?")
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by ben")


async def test_text_typed_just_before_a_reload_is_kept(inbox: Inbox) -> None:
    """The draft is not yet due: it is written when the page is left, though its database may not be open."""
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    context = await inbox.context()
    page = await context.new_page()
    await page.add_init_script(OPENING)
    # Time stands still, so that only the end of the page can save the draft.
    await page.clock.install()
    inbox.complaints.watch(page)
    await page.goto(f"{inbox.origin}/prompts/{prompt.prompt_id}")
    await live(page)
    await settled(page)
    for n in range(5):
        await page.clock.pause_at(await page.evaluate("Date.now() / 1000 + 1"))
        await page.locator("#comment").fill(f"the words of round {n}")
        await page.reload()
        await page.clock.resume()
        await live(page)
        await expect(page.locator("#comment")).to_have_value(f"the words of round {n}")


async def test_text_of_one_tab_is_not_lost_to_another_tab_with_the_same_prompt(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    context = await inbox.context()
    first, second = [await inbox.tab(context, f"/prompts/{prompt.prompt_id}") for _ in range(2)]
    for page in (first, second):
        await live(page)
        await settled(page)
    await first.locator("#comment").fill("of the first")
    await saved(first, "of the first")
    # Two ways in which the other tab would take it away: with no text of its own, and with its own.
    await second.locator("#comment").fill("of the second")
    await saved(second, "of the second")
    await first.reload()
    await expect(first.locator("#comment")).to_have_value("of the first")
    await second.locator("#comment").fill("")
    await saved(second, "of the second", is_saved=False)
    await first.reload()
    await expect(first.locator("#comment")).to_have_value("of the first")
    await second.locator("#comment").fill("x")
    await second.locator(APPROVE).click()
    await expect(second.locator(".tombstone-title")).to_contain_text("“Confirm” by you")
    await saved(second, "of the first", is_saved=False)


async def test_a_duplicated_tab_answers_for_itself(inbox: Inbox) -> None:
    """Both press at once: one answer counts, and both say which."""
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    context = await inbox.context()
    first = await inbox.tab(context, f"/prompts/{prompt.prompt_id}")
    await live(first)
    tab = await first.evaluate("sessionStorage.getItem('askback.tab')")
    assert tab
    # As "Duplicate tab" does: the new tab has a copy of the storage.
    async with context.expect_page() as opened:
        await first.evaluate("window.open(location.href) && null")
    second = await opened.value
    inbox.complaints.watch(second)
    await live(second)
    pages = [first, second]
    names = [await page.evaluate("sessionStorage.getItem('askback.tab')") for page in pages]
    assert names[0] == tab
    assert names[1] != tab
    points = []
    for page in pages:
        await settled(page)
        box = await page.locator(APPROVE).bounding_box()
        assert box is not None
        points.append((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))
    for page, point in zip(pages, points, strict=True):
        await page.mouse.click(*point)
    for page in pages:
        await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by")
    stored = await inbox.world.prompt(prompt.prompt_id)
    assert stored.resolution.answer.user_id == "ana"
    counted = [r for r in await submissions(inbox, prompt) if r.status == prompts.ANSWER_STATUS_ACCEPTED]
    assert [record.answer.answer_id for record in counted] == [stored.resolution.answer.answer_id]
