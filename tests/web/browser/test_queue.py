"""The queue: its count equals its list, rows stay where they are, and the address has the filters."""

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from playwright.async_api import Page, expect

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, live, settled
from tests.support.requests import REJECT, answer, audience, confirm

OPEN_ROWS = ".row:not(.is-closed)"


async def titles(page: Page) -> list[str]:
    """The titles of the rows, in order. A row that the browser has not drawn yet has no inner text."""
    return [text.strip() for text in await page.locator(".row-words").all_text_contents()]


async def expect_count(page: Page, view: str, count: int) -> None:
    """Open a view and compare its number with its list."""
    await page.locator(f'[data-view="{view}"]').click()
    await expect(page.locator(f'[data-view="{view}"] .count')).to_have_text(str(count))
    await expect(page.locator(OPEN_ROWS)).to_have_count(count)


async def test_each_views_number_equals_its_list(inbox: Inbox) -> None:
    world = inbox.world
    await world.create_prompt(confirm("For all"))
    await world.create_prompt(confirm("By name", audience=audience("ana")))
    await world.create_prompt(confirm("For others", audience=audience("ben")))
    claimed = await world.create_prompt(confirm("Claimed"))
    await world.as_user("ben").hitl.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=claimed.prompt_id))
    page = await inbox.open()
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
    await expect(page.locator(".ending")).to_contain_text("“Reject” by you")
    # The time is that of the decision, and the title is not struck out here: the list is a record.
    resolved = (await world.prompt(mine.prompt_id)).resolution.time.ToDatetime(UTC)
    said = await page.locator(".row-meta time").get_attribute("datetime")
    assert said is not None
    assert abs(datetime.fromisoformat(said) - resolved) < timedelta(milliseconds=1)
    await expect(page.locator(".row-words")).to_have_css("text-decoration-line", "none")


async def test_new_rows_wait_while_a_person_is_in_the_list(inbox: Inbox) -> None:
    await inbox.world.create_prompt(confirm("Old"))
    page = await inbox.open()
    await expect(page.locator(".row-link").first).to_be_focused()
    await inbox.world.create_prompt(confirm("New", priority=50))
    await expect(page.locator(".waiting-button")).to_contain_text("1 new, 1 urgent")
    assert await titles(page) == ["Old"]
    await page.locator(".waiting-button").click()
    await expect(page.locator(".row-words")).to_have_count(2)
    assert await titles(page) == ["New", "Old"]
    # Outside of the list the rows come at once.
    await page.locator("#search").focus()
    await page.mouse.move(900, 500)
    await inbox.world.create_prompt(confirm("Newest", priority=90))
    await expect(page.locator(".row-words")).to_have_count(3)
    assert await titles(page) == ["Newest", "New", "Old"]


async def test_a_row_that_closes_under_the_focus_stays_as_a_tombstone(inbox: Inbox) -> None:
    first = await inbox.world.create_prompt(confirm("First", priority=1))
    await inbox.world.create_prompt(confirm("Second"))
    page = await inbox.open()
    row = page.locator(f'[data-open="{first.prompt_id}"]')
    await expect(row).to_be_focused()
    await inbox.world.as_user("ben").hitl.AnswerPrompt(answer(first))
    await expect(page.locator(f'[data-row="{first.prompt_id}"]')).to_contain_text("“Confirm” by ben")
    await expect(row).to_be_focused()
    await expect(page.locator(OPEN_ROWS)).to_have_count(1)
    await expect(page.locator('[data-view="all"] .count')).to_have_text("1")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(".row-link").nth(1)).to_be_focused()


async def test_filters_stand_in_the_address_and_say_what_they_hide(inbox: Inbox) -> None:
    await inbox.world.create_prompt(confirm("Alpha", labels={"team": "a"}), job_type="refund")
    await inbox.world.create_prompt(confirm("Beta", kind="preview"), job_type="deploy")
    page = await inbox.open()
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


async def test_a_joint_decision_goes_to_the_chosen_rows_and_each_has_its_result(inbox: Inbox) -> None:
    world = inbox.world
    chosen = [await world.create_prompt(confirm(f"Chosen {n}")) for n in range(3)]
    other = await world.create_prompt(confirm("Not chosen"))
    page = await inbox.open()
    for prompt in chosen:
        await page.locator(f'[data-choose="{prompt.prompt_id}"]').check()
    await page.get_by_role("button", name="Decide together").click()
    table = page.get_by_role("dialog")
    await expect(table.locator("tbody tr")).to_have_count(3)
    # One closes while the table is on the screen: it is left out.
    await world.as_user("ben").hitl.AnswerPrompt(answer(chosen[0], decision=REJECT))
    left_out = table.locator(f'[data-bulk="{chosen[0].prompt_id}"]')
    await expect(left_out).to_contain_text("Left out: “Reject” by ben")
    # The words are those of the buttons of each question.
    await table.get_by_text("Confirm (3 of 3)").click()
    confirm_button = table.locator("[data-command=bulk-confirm]")
    await expect(confirm_button).to_have_text("Confirm: 2 questions")
    await expect(confirm_button).to_have_attribute("aria-disabled", "false")
    await confirm_button.click()
    for prompt in chosen[1:]:
        await expect(table.locator(f'[data-bulk="{prompt.prompt_id}"]')).to_contain_text("“Confirm”")
        assert (await world.prompt(prompt.prompt_id)).resolution.answer.user_id == "ana"
    await expect(left_out).to_contain_text("Left out")
    assert (await world.prompt(chosen[0].prompt_id)).resolution.answer.user_id == "ben"
    assert (await world.prompt(other.prompt_id)).state == prompts.PROMPT_STATE_PENDING


async def test_what_closed_elsewhere_is_listed_the_last_first_and_found_by_its_words(inbox: Inbox) -> None:
    world = inbox.world
    first = await world.create_prompt(confirm("Refund one?"))
    second = await world.create_prompt(confirm("Refund two?"))
    page = await inbox.open()
    await expect(page.locator(OPEN_ROWS)).to_have_count(2)
    await world.create_prompt(
        confirm(
            "Renew it?",
            timeout=Duration(seconds=4),
            final_action=prompts.FINAL_ACTION_DEFAULT,
            default_answer=prompts.DefaultAnswer(decision=REJECT),
        )
    )
    await page.locator(".waiting-button").click()
    await expect(page.locator(OPEN_ROWS)).to_have_count(3)
    await expect(page.locator(OPEN_ROWS)).to_have_count(2)
    await world.as_user("ben").hitl.AnswerPrompt(answer(first))
    await expect(page.locator(OPEN_ROWS)).to_have_count(1)
    await world.as_user("ben").hitl.AnswerPrompt(answer(second, decision=REJECT))
    await page.locator('[data-view="closed"]').click()
    await expect(page.locator(".summary")).to_have_text("3 closed questions")
    assert await titles(page) == ["Refund two?", "Refund one?", "Renew it?"]
    # A deadline's default is no person's decision.
    await expect(page.locator(".ending")).to_have_text(
        ["“Reject” by ben", "“Confirm” by ben", "“Reject” by default"]
    )
    await page.locator("#search").fill("one")
    await expect(page.locator(".row-words")).to_have_text(["Refund one?"])
    await page.locator("#search").fill("")
    await page.locator('[data-view="all"]').click()
    await page.keyboard.press("Control+k")
    await page.get_by_role("combobox").fill("refund two")
    await page.keyboard.press("Enter")
    await expect(page.locator(".tombstone-title")).to_contain_text("“Reject” by ben")


async def test_while_rows_are_chosen_the_only_decision_is_the_joint_one(inbox: Inbox) -> None:
    """Its table says how each text begins and which were not opened; its results stay within reach."""
    world = inbox.world
    shown = await world.create_prompt(confirm("Open beside the list?", priority=5))
    one = await world.create_prompt(confirm("Delete one?", body="The **first** line.\n\nThe second."))
    two = await world.create_prompt(confirm("Delete two?"))
    page = await inbox.open(path=f"/prompts/{one.prompt_id}")
    await settled(page)
    await page.locator(f'[data-open="{shown.prompt_id}"]').click()
    await settled(page)
    for prompt in (one, two):
        await page.locator(f'[data-choose="{prompt.prompt_id}"]').check()
    await expect(page.locator("[data-decision]")).to_have_count(0)
    await expect(page.locator(".answer")).to_contain_text("2 questions are chosen in the list")
    # Its keys are off as well.
    await page.locator("#prompt-title").focus()
    await page.keyboard.press("a")
    await page.get_by_role("button", name="Decide together").click()
    table = page.get_by_role("dialog")
    await expect(table.locator(f'[data-bulk="{one.prompt_id}"] th')).to_contain_text("The **first** line.")
    await expect(table.locator(f'[data-bulk="{one.prompt_id}"]')).not_to_contain_text("not opened")
    await expect(table.locator(f'[data-bulk="{two.prompt_id}"] th')).to_contain_text("not opened")
    await table.get_by_text("Confirm (2 of 2)").click()
    await expect(table.locator("[data-command=bulk-confirm]")).to_have_attribute("aria-disabled", "false")
    await table.locator("[data-command=bulk-confirm]").click()
    await expect(table.locator('[data-result="accepted"]')).to_have_count(2)
    await table.locator("footer").get_by_role("button", name="Close").click()
    await expect(table).to_have_count(0)
    await page.locator("[data-command=results]").click()
    await expect(table.locator('[data-result="accepted"]')).to_have_count(2)
    assert (await world.prompt(shown.prompt_id)).state == prompts.PROMPT_STATE_PENDING
    await page.keyboard.press("Escape")
    await settled(page)


async def test_a_long_list_is_drawn_in_pages(inbox: Inbox) -> None:
    for n in range(205):
        await inbox.world.create_prompt(confirm(f"Question {n}"))
    page = await inbox.open()
    await expect(page.locator('[data-view="all"] .count')).to_have_text("205")
    await expect(page.locator(".row")).to_have_count(200)
    await expect(page.get_by_role("button", name="Show 5 more of 205")).to_be_attached()
    # The rest comes as soon as a person scrolls to the end.
    await page.locator(".row").nth(5).hover()
    await page.mouse.wheel(0, 100_000)
    await expect(page.locator(".row")).to_have_count(205)


async def test_what_ends_within_minutes_is_first_and_said_above_a_list_that_hides_it(inbox: Inbox) -> None:
    await inbox.world.create_prompt(confirm("Important", priority=9))
    soon = await inbox.world.create_prompt(confirm("Ends soon", timeout=Duration(seconds=200)))
    page = await inbox.open()
    await expect(page.locator(".row-words")).to_have_count(2)
    assert await titles(page) == ["Ends soon", "Important"]
    await page.locator("#search").fill("important")
    await expect(page.locator(".row-words")).to_have_text(["Important"])
    line = page.locator(".ends-soon")
    await expect(line).to_have_text("1 ends within 5 min")
    await line.click()
    await page.wait_for_url(f"**/prompts/{soon.prompt_id}?q=important")
    await inbox.world.as_user("ben").hitl.AnswerPrompt(answer(soon))
    await expect(line).to_have_count(0)


async def test_a_search_lists_hits_only_and_enter_opens_the_first(inbox: Inbox) -> None:
    other = await inbox.world.create_prompt(confirm("Refund?"))
    hit = await inbox.world.create_prompt(confirm("Delete snapshot?"))
    page = await inbox.open(path=f"/prompts/{other.prompt_id}")
    await expect(page.locator(".row-words")).to_have_count(2)
    await page.locator("#search").fill("snapshot")
    await expect(page.locator(".row-words")).to_have_text(["Delete snapshot?"])
    await expect(page.locator(".summary")).to_have_text("1 question waits · 1 more hidden by the filters")
    await page.keyboard.press("Enter")
    await expect(page.locator("#prompt-title")).to_have_text("Delete snapshot?")
    await expect(page.locator(f'[data-open="{hit.prompt_id}"]')).to_be_focused()
    # What is open and undecided is no row of the decided ones.
    await page.locator("#search").fill("")
    await page.locator('[data-view="decided"]').click()
    await expect(page.locator(".empty-title")).to_have_text("You have decided nothing yet")
    await expect(page.locator(".row")).to_have_count(0)


async def test_next_is_the_most_urgent_question_that_the_person_may_answer(inbox: Inbox) -> None:
    world = inbox.world
    high = await world.create_prompt(confirm("High", priority=7))
    middle = await world.create_prompt(confirm("Middle", priority=5))
    low = await world.create_prompt(confirm("Low", priority=1))
    taken = await world.create_prompt(confirm("Taken", priority=9))
    await world.as_user("ben").hitl.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=taken.prompt_id))
    page = await inbox.open(path=f"/prompts/{middle.prompt_id}")
    await settled(page)
    await page.locator("#prompt-title").focus()
    await page.keyboard.press("a")
    await expect(page.locator("[data-command=next]")).to_contain_text("High")
    await page.keyboard.press("s")
    await expect(page.locator("#prompt-title")).to_have_text("High")
    # What was skipped comes again after all others, and never at once.
    for title in ("Low", "High", "Low"):
        await page.keyboard.press("s")
        await expect(page.locator("#prompt-title")).to_have_text(title)
    assert (await world.prompt(high.prompt_id)).state == prompts.PROMPT_STATE_PENDING
    assert (await world.prompt(low.prompt_id)).state == prompts.PROMPT_STATE_PENDING
