"""Signing in, and sessions that end while a person writes."""

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Inbox, live, saved, settled
from tests.support.requests import audience, confirm


async def sign_in_again(page: Page) -> None:
    """Sign in as the same person in the window over the page."""
    await page.get_by_role("button", name="Sign in again").click()
    await page.get_by_label("Your name").fill("ana")
    await page.keyboard.press("Enter")
    await live(page)


async def test_a_person_signs_in_with_a_name_and_sees_what_waits(inbox: Inbox) -> None:
    await inbox.world.create_prompt(confirm("For you"))
    page = await inbox.open("")
    name = page.get_by_label("Your name")
    await expect(name).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert").first).to_contain_text("Write your name first")
    await name.fill("ana")
    await page.keyboard.press("Enter")
    await live(page)
    await expect(page.locator(".row-words")).to_have_text(["For you"])
    await expect(page.locator(".who")).to_contain_text("ana")
    await expect(page.get_by_text("j opens the next one")).to_be_visible()
    await page.keyboard.press("j")
    await expect(page.locator("#prompt-title")).to_have_text("For you")


async def test_a_session_that_ends_keeps_the_text_and_the_page(inbox: Inbox) -> None:
    inbox.complaints.allowed += ["401", "WebSocket"]
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await inbox.open(path=f"/prompts/{prompt.prompt_id}")
    await settled(page)
    await page.locator("#comment").fill("half a sentence")
    await inbox.end_session(page)
    approve = page.locator("[data-decision=DECISION_ACCEPT]")
    await expect(approve).to_have_attribute("aria-disabled", "true")
    await expect(page.locator("#answer-why")).to_contain_text("sign in again")
    await sign_in_again(page)
    await expect(page.locator("#comment")).to_have_value("half a sentence")
    await settled(page)
    await approve.click()
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")
    answer = (await inbox.world.prompt(prompt.prompt_id)).resolution.answer
    assert (answer.user_id, answer.comment) == ("ana", "half a sentence")


@pytest.mark.parametrize("place", ["panel", "page"])
async def test_a_job_goes_on_when_its_reader_has_signed_in_again(inbox: Inbox, place: str) -> None:
    inbox.complaints.allowed += ["401", "WebSocket"]
    world = inbox.world
    lease = await world.lease_new_job("deploy")
    prompt = await world.ask(lease, "ship", confirm("Release?"))
    paths = {"panel": f"/prompts/{prompt.prompt_id}", "page": f"/jobs/{lease.job.job_id}"}
    page = await inbox.open(path=paths[place])
    if place == "panel":
        await settled(page)
        await page.get_by_text("The job: deploy").click()
    events = page.locator(".timeline li")
    await expect(events.filter(has_text="Asks people: Release?")).to_have_count(1)
    await inbox.end_session(page)
    await expect(page.get_by_text("Not live: trying again")).to_be_visible()
    await world.ask(lease, "tell", confirm("Tell the customers?"))
    await sign_in_again(page)
    await expect(events.filter(has_text="Asks people: Tell the customers?")).to_have_count(1)
    await expect(page.get_by_text("Not live: trying again")).to_have_count(0)
    await expect(page.locator(".error-note")).to_have_count(0)


async def test_keys_act_where_they_did_after_a_new_sign_in(inbox: Inbox) -> None:
    """The button and the window of the sign-in are gone by then."""
    inbox.complaints.allowed += ["401", "WebSocket"]
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await inbox.open()
    await page.locator(f'[data-open="{prompt.prompt_id}"]').click()
    await settled(page)
    await inbox.end_session(page)
    await sign_in_again(page)
    await settled(page)
    await page.keyboard.press("a")
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")


async def test_signing_out_asks_about_text_that_was_not_sent(inbox: Inbox) -> None:
    inbox.complaints.allowed += ["401", "WebSocket"]
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await inbox.open(path=f"/prompts/{prompt.prompt_id}")
    await settled(page)
    await page.locator("#comment").fill("unsent")
    await page.get_by_role("link", name="Settings").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("dialog")).to_contain_text("1 question has text of yours that was not sent")
    await page.get_by_role("button", name="Sign out and delete my text").click()
    await expect(page.get_by_label("Your name")).to_be_visible()


async def test_the_window_to_sign_in_again_has_the_name_and_the_focus(inbox: Inbox) -> None:
    """With the focus on its close button, a typed name got lost, and the groups became the name."""
    inbox.complaints.allowed += ["401", "WebSocket"]
    prompt = await inbox.world.create_prompt(confirm("Go?", audience=audience(groups=["ops"])))
    context = await inbox.context("ana", ("ops", "desk"))
    page = await inbox.tab(context, f"/prompts/{prompt.prompt_id}")
    await live(page)
    await settled(page)
    await page.locator("#comment").fill("half a sentence")
    await inbox.end_session(page)
    await page.get_by_role("button", name="Sign in again").click()
    name, groups = page.get_by_label("Your name"), page.get_by_label("Your groups")
    await expect(name).to_be_focused()
    await expect(name).to_have_value("ana")
    await expect(groups).to_have_value("desk, ops")
    # Another person sees nothing of the question that was open.
    await page.keyboard.type("cleo")
    await groups.fill("")
    await page.keyboard.press("Enter")
    await live(page)
    await expect(page.locator(".who")).to_contain_text("cleo")
    await expect(page.locator("#prompt-title")).to_have_count(0)
    assert "/prompts/" not in page.url


async def test_a_question_for_others_says_who_may_answer(inbox: Inbox) -> None:
    """A person with the role client reads it on the page of its job, and in groups that were given up."""
    world = inbox.world
    prompt = await world.create_prompt(confirm("Legal?", audience=audience(groups=["legal"])))
    context = await inbox.context("ana", ("legal",))
    page = await inbox.tab(context, f"/prompts/{prompt.prompt_id}")
    await live(page)
    await settled(page)
    await inbox.sign_in(context, "ana")
    await page.reload()
    await live(page)
    await expect(page.locator("#answer-why")).to_contain_text("Only group legal may answer.")
    await expect(page.locator("[data-decision=DECISION_ACCEPT]")).to_have_attribute("aria-disabled", "true")
    await expect(page.locator("[data-command=claim]")).to_have_attribute("aria-disabled", "true")


async def test_who_signs_out_in_one_tab_leaves_nothing_in_the_others(inbox: Inbox) -> None:
    """Neither on the screen nor, typed a moment before, in the browser's storage."""
    inbox.complaints.allowed += ["401", "WebSocket"]
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    context = await inbox.context()
    first = await inbox.tab(context, "/settings")
    second = await inbox.tab(context, f"/prompts/{prompt.prompt_id}")
    await live(first)
    await live(second)
    await settled(second)
    await second.locator("#comment").fill("of no one else's business")
    await saved(second, "of no one else's business")
    await first.get_by_role("button", name="Sign out").click()
    await expect(first.get_by_role("dialog")).to_contain_text("1 question has text")
    await first.get_by_role("button", name="Sign out and delete my text").click()
    await expect(second.get_by_label("Your name")).to_be_visible()
    await expect(second.locator("body")).not_to_contain_text("Go?")
    await expect(second).to_have_title("Askback")
    await saved(second, "business", is_saved=False)
