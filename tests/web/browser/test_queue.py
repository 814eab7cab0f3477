"""The queue: its count equals its list, rows stay where they are, and the address has the filters."""

from datetime import UTC, datetime, timedelta

from playwright.async_api import Page, expect

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Desk, live
from tests.support.requests import REJECT, answer, audience, confirm

OPEN_ROWS = ".row:not(.is-closed)"


async def titles(page: Page) -> list[str]:
    """The titles of the rows, in order."""
    return [text.strip() for text in await page.locator(".row-words").all_inner_texts()]


async def expect_count(page: Page, view: str, count: int) -> None:
    """Open a view and compare its number with its list."""
    await page.locator(f'[data-view="{view}"]').click()
    await expect(page.locator(f'[data-view="{view}"] .count')).to_have_text(str(count))
    await expect(page.locator(OPEN_ROWS)).to_have_count(count)


async def test_each_views_number_equals_its_list(desk: Desk) -> None:
    world = desk.world
    await world.create_prompt(confirm("For all"))
    await world.create_prompt(confirm("By name", audience=audience("ana")))
    await world.create_prompt(confirm("For others", audience=audience("ben")))
    claimed = await world.create_prompt(confirm("Claimed"))
    await world.as_user("ben").hitl.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=claimed.prompt_id))
    page = await desk.open()
    await expect_count(page, "all", 3)
    assert await page.title() == "(3) Askback"
    await expect_count(page, "mine", 1)
    await expect_count(page, "unclaimed", 2)
    await expect(page.locator(".summary")).to_contain_text("1 more claimed by others")
    mine = await world.create_prompt(confirm("Decided"))
    await world.as_user("ana").hitl.AnswerPrompt(answer(mine, decision=REJECT))
    await page.locator('[data-view="decided"]').click()
    await expect(page.locator('[data-view="decided"] .count')).to_have_text("1")
    await expect(page.locator(".row")).to_have_count(1)
    await expect(page.locator(".ending")).to_contain_text("Rejected by you")
    # The time is that of the decision, and the title is not struck out here: the list is a record.
    resolved = (await world.prompt(mine.prompt_id)).resolution.time.ToDatetime(UTC)
    said = await page.locator(".row-meta time").get_attribute("datetime")
    assert said is not None
    assert abs(datetime.fromisoformat(said) - resolved) < timedelta(milliseconds=1)
    await expect(page.locator(".row-words")).to_have_css("text-decoration-line", "none")


async def test_new_rows_wait_while_a_person_is_in_the_list(desk: Desk) -> None:
    await desk.world.create_prompt(confirm("Old"))
    page = await desk.open()
    await expect(page.locator(".row-link").first).to_be_focused()
    await desk.world.create_prompt(confirm("New", priority=50))
    await expect(page.locator(".waiting-button")).to_contain_text("1 new, 1 urgent")
    assert await titles(page) == ["Old"]
    await page.locator(".waiting-button").click()
    await expect(page.locator(".row-words")).to_have_count(2)
    assert await titles(page) == ["New", "Old"]
    # Outside of the list the rows come at once.
    await page.locator("#search").focus()
    await page.mouse.move(900, 500)
    await desk.world.create_prompt(confirm("Newest", priority=90))
    await expect(page.locator(".row-words")).to_have_count(3)
    assert await titles(page) == ["Newest", "New", "Old"]


async def test_a_row_that_closes_under_the_focus_stays_as_a_tombstone(desk: Desk) -> None:
    first = await desk.world.create_prompt(confirm("First", priority=1))
    await desk.world.create_prompt(confirm("Second"))
    page = await desk.open()
    row = page.locator(f'[data-open="{first.prompt_id}"]')
    await expect(row).to_be_focused()
    await desk.world.as_user("ben").hitl.AnswerPrompt(answer(first))
    await expect(page.locator(f'[data-row="{first.prompt_id}"]')).to_contain_text("Approved by ben")
    await expect(row).to_be_focused()
    await expect(page.locator(OPEN_ROWS)).to_have_count(1)
    await expect(page.locator('[data-view="all"] .count')).to_have_text("1")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(".row-link").nth(1)).to_be_focused()


async def test_filters_stand_in_the_address_and_say_what_they_hide(desk: Desk) -> None:
    await desk.world.create_prompt(confirm("Alpha", labels={"team": "a"}), job_type="refund")
    await desk.world.create_prompt(confirm("Beta", kind="preview"), job_type="deploy")
    page = await desk.open()
    await page.locator("#search").fill("alp")
    await expect(page.locator(".row-words")).to_have_text(["Alpha"])
    await expect(page.locator(".summary")).to_contain_text("1 more hidden by the filters")
    assert page.url.endswith("/?q=alp")
    await page.locator("#search").fill("")
    await page.get_by_role("button", name="Filter and sort").click()
    await page.get_by_role("combobox", name="Kind").select_option("preview")
    await expect(page.locator(".row-words")).to_have_text(["Beta"])
    await page.get_by_role("combobox", name="Group by").select_option("type")
    await expect(page.locator(".group-name")).to_contain_text("deploy")
    address = page.url
    assert "kind=preview" in address
    assert "group=type" in address
    await page.goto(address)
    await live(page)
    await expect(page.locator(".row-words")).to_have_text(["Beta"])
    await page.locator("#search").fill("nothing like it")
    await expect(page.locator(".empty")).to_contain_text("The filters hide 2 questions")
    await page.locator(".empty").get_by_role("button", name="Clear filters").click()
    await expect(page.locator(".row-words")).to_have_count(2)


async def test_a_joint_decision_goes_to_the_chosen_rows_and_each_has_its_result(desk: Desk) -> None:
    world = desk.world
    chosen = [await world.create_prompt(confirm(f"Chosen {n}")) for n in range(3)]
    other = await world.create_prompt(confirm("Not chosen"))
    page = await desk.open()
    for prompt in chosen:
        await page.locator(f'[data-choose="{prompt.prompt_id}"]').check()
    await page.get_by_role("button", name="Decide together").click()
    table = page.get_by_role("dialog")
    await expect(table.locator("tbody tr")).to_have_count(3)
    # One closes while the table is on the screen: it is left out.
    await world.as_user("ben").hitl.AnswerPrompt(answer(chosen[0], decision=REJECT))
    left_out = table.locator(f'[data-bulk="{chosen[0].prompt_id}"]')
    await expect(left_out).to_contain_text("Left out: it is closed")
    # The words are those of the buttons of each question.
    await table.get_by_text("Confirm (3 of 3)").click()
    confirm_button = table.locator("[data-command=bulk-confirm]")
    await expect(confirm_button).to_have_text("Confirm: 2 questions")
    await expect(confirm_button).to_have_attribute("aria-disabled", "false")
    await confirm_button.click()
    for prompt in chosen[1:]:
        await expect(table.locator(f'[data-bulk="{prompt.prompt_id}"]')).to_contain_text("Approved")
        assert (await world.prompt(prompt.prompt_id)).resolution.answer.user_id == "ana"
    await expect(left_out).to_contain_text("Left out")
    assert (await world.prompt(chosen[0].prompt_id)).resolution.answer.user_id == "ben"
    assert (await world.prompt(other.prompt_id)).state == prompts.PROMPT_STATE_PENDING


async def test_a_long_list_is_drawn_in_pages(desk: Desk) -> None:
    for n in range(205):
        await desk.world.create_prompt(confirm(f"Question {n}"))
    page = await desk.open()
    await expect(page.locator('[data-view="all"] .count')).to_have_text("205")
    await expect(page.locator(".row")).to_have_count(200)
    await expect(page.get_by_role("button", name="Show 5 more of 205")).to_be_attached()
    # The rest comes as soon as a person scrolls to the end.
    await page.locator(".row").nth(5).hover()
    await page.mouse.wheel(0, 100_000)
    await expect(page.locator(".row")).to_have_count(205)
