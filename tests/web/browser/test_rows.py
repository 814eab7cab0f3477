"""What a row says: the whole title, and only what tells a person something."""

from datetime import timedelta

from playwright.async_api import expect

from askback import Client
from tests.support.browser import Inbox, axe, settled
from tests.support.requests import audience, confirm

LONG = (
    "Delete the customer table and all of its backups in production-eu and production-us before the weekend?"
)


async def test_a_row_hides_a_type_and_a_requester_that_no_person_chose(inbox: Inbox) -> None:
    target = f"127.0.0.1:{inbox.world.service.port}"
    async with Client(target) as nameless, Client(target, user="maria") as maria:
        plain = await nameless.ask("Deploy?")
        await maria.ask("Refund?", job_type="refunds")
    page = await inbox.open()
    row = page.locator(".row", has_text="Deploy?")
    # A question without a deadline says nothing about one.
    await expect(row.locator(".row-meta")).to_have_text("Confirmationjust now")
    await expect(page.locator(".row", has_text="Refund?").locator(".row-meta")).to_have_text(
        "Confirmationrefundsfor mariajust now"
    )
    await row.locator("a").click()
    await settled(page)
    await expect(page.locator(".facts-line")).to_have_text("Confirmationjust now")
    await page.goto(f"{inbox.origin}/jobs/{plain.job_id}")
    await expect(page.locator("#job-title")).to_contain_text("single question")
    await page.goto(f"{inbox.origin}/?group=type")
    await expect(page.locator(".group-name")).to_have_text(["single question1", "refunds1"])


async def test_a_rows_title_is_there_to_its_end(inbox: Inbox) -> None:
    await inbox.world.create_prompt(
        confirm(LONG, priority=50, timeout=timedelta(minutes=30)), job_type="customers"
    )
    for width in (1280, 800, 390):
        page = await inbox.open(viewport={"width": width, "height": 800}, locale="de-DE")
        words = page.locator(".row-words")
        await expect(words).to_contain_text("weekend?")
        cut = await words.evaluate("(element) => element.scrollHeight - element.clientHeight")
        assert cut <= 0, width
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert await axe(page) == []


async def test_the_summary_says_what_a_view_has(inbox: Inbox) -> None:
    await inbox.world.create_prompt(confirm("By name", audience=audience("ana")))
    await inbox.world.create_prompt(confirm("For all"))
    page = await inbox.open()
    await page.locator('[data-view="mine"]').click()
    await expect(page.locator(".summary")).to_have_text("1 question names you, or you have claimed it")
    await page.locator('[data-view="unclaimed"]').click()
    await expect(page.locator(".summary")).to_have_text("2 questions that no other person has claimed")
    german = await inbox.open(locale="de-DE", path="/?view=mine")
    await expect(german.locator(".summary")).to_have_text("1 Frage nennt Sie, oder Sie haben sie belegt")


async def test_the_field_for_groups_says_what_separates_them(inbox: Inbox) -> None:
    page = await inbox.open("")
    field = page.get_by_role("textbox", name="Your groups")
    await expect(field).to_have_accessible_description("Put a comma between groups: ops, legal.")
    assert await axe(page) == []
