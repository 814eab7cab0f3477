"""The overview: the figures of the service, read again by itself and by hand, for those who may see them."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Page, Route, expect

from askback.v1 import job_service_pb2 as job_service
from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, axe, live
from tests.support.requests import answer, audience, confirm
from tests.support.token_files import TokenFile

CALL = "**/askback.v1.JobService/GetOverview"
PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}
SMALL = PHONE | {"viewport": {"width": 320, "height": 640}, "locale": "de-DE"}


async def ask(caller: Any, job_type: str = "refund", **content: Any) -> prompts.Prompt:
    """Ask a question without a worker."""
    request = job_service.CreateJobRequest(job_type=job_type, prompt=confirm(**content))
    prompt: prompts.Prompt = (await caller.jobs.CreateJob(request)).prompt
    return prompt


async def count(inbox: Inbox) -> None:
    """Let the service count what happened."""
    await inbox.world.service.replica.sweep.sweep()


async def waits(page: Page, n: int) -> None:
    """Wait until the page says that `n` questions wait."""
    await expect(page.locator("#overview-waiting + .figures .figure").first).to_contain_text(str(n))


def lane(page: Page, measure: str) -> Any:
    """The row of columns of a measure."""
    return page.locator(f'[data-measure="{measure}"]')


async def test_the_figures_are_those_of_the_service(inbox: Inbox) -> None:
    oldest = await ask(inbox.world, title="Pay 84.00 EUR?", priority=5)
    for _ in range(2):
        await ask(inbox.world, "support", kind="clarify", title="How do we answer?")
    for number in range(3):
        closed = await ask(inbox.world, title=f"Closed {number}?")
        await inbox.world.hitl.AnswerPrompt(answer(closed))
    await inbox.world.worker().hello("t")
    await count(inbox)
    page = await inbox.open()
    await page.get_by_role("link", name="Overview").focus()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/overview$"))
    await waits(page, 3)
    ages = page.get_by_role("table", name="How long they have waited")
    await expect(ages.locator("tbody tr")).to_have_count(6)
    await expect(ages.locator("tbody tr").first).to_contain_text("less than 1 min")
    assert sum(int(n) for n in await ages.locator("tbody .number").all_inner_texts()) == 3
    kinds = page.get_by_role("table", name="What kind they are")
    await expect(kinds.locator("tbody tr")).to_have_text(
        [re.compile("Question.*2"), re.compile("Confirm.*1")]
    )
    urgent = page.get_by_role("table", name="How urgent they are")
    await expect(urgent.locator("tbody tr")).to_have_text([re.compile("5.*1"), re.compile("0.*2")])
    streams = page.locator("#overview-streams + .figures")
    await expect(streams).to_contain_text("1 person with an inbox open")
    await expect(streams).to_contain_text("1 worker")
    for measure, n in (
        ("promptsAsked", 6),
        ("promptsAnswered", 3),
        ("promptsExpired", 0),
        ("jobsCreated", 6),
    ):
        await expect(lane(page, measure).locator("strong")).to_have_text(str(n))
    await expect(page.locator(".figure", has_text="half of the answers within")).to_be_visible()
    # The oldest question is the first, and leads to its page.
    link = page.locator(".oldest-row").first.get_by_role("link", name="Pay 84.00 EUR?")
    await link.press("Enter")
    await expect(page).to_have_url(re.compile(f"/prompts/{oldest.prompt_id}"))
    await expect(page.locator("#prompt-title")).to_have_text("Pay 84.00 EUR?")


async def test_every_plot_has_a_table_with_the_same_numbers(inbox: Inbox) -> None:
    for _ in range(2):
        await inbox.world.hitl.AnswerPrompt(answer(await ask(inbox.world)))
    await count(inbox)
    page = await inbox.open(path="/overview")
    plot = lane(page, "promptsAsked").get_by_role("img")
    assert "Asked: 2 in all" in (await plot.get_attribute("aria-label") or "")
    titles = await plot.locator("title").all_text_contents()
    table = page.locator("details", has=page.get_by_role("region", name="Questions")).first
    await page.get_by_text("As a table").first.press("Enter")
    rows = table.locator("tbody tr")
    drawn = [int(text.rpartition(": ")[2]) for text in titles]
    assert drawn == [int(await row.locator("td").first.inner_text()) for row in await rows.all()]
    assert sum(drawn) == 2
    # A time is exact on hover, in the zone of the person.
    assert re.search(r"\d\d:00:00 CET$", await rows.first.locator("time").get_attribute("title") or "")
    plots = await page.locator("svg.plot").count()
    named = await page.locator('svg.plot[role="img"][aria-label]').count()
    assert plots == named + await page.locator('td.bar svg.plot[aria-hidden="true"]').count()
    await expect(page.get_by_role("img", name=re.compile("Answer times"))).to_be_visible()


async def test_it_reads_again_by_itself_and_by_hand(inbox: Inbox) -> None:
    context = await inbox.context()
    page = await context.new_page()
    await page.clock.install()
    inbox.complaints.watch(page)
    await page.goto(f"{inbox.origin}/overview")
    await live(page)
    await expect(page.get_by_text("Nothing waits for an answer")).to_be_visible()
    await expect(page.locator(".overview-read")).to_contain_text("again every 30 s")
    await ask(inbox.world)
    async with page.expect_response(CALL):
        await page.clock.run_for(30_000)
    await waits(page, 1)
    await ask(inbox.world)
    await page.clock.pause_at(await page.evaluate("Date.now() / 1000 + 1"))
    button = page.get_by_role("button", name="Read now")
    await button.press("Enter")
    await waits(page, 2)
    await expect(button).to_be_focused()


async def test_the_window_is_a_choice_in_the_address(inbox: Inbox) -> None:
    await ask(inbox.world)
    await count(inbox)
    page = await inbox.open(path="/overview")
    choices = page.get_by_role("navigation", name="Time")
    await expect(choices.locator('[aria-current="page"]')).to_have_text("24 hours")
    steps = lane(page, "promptsAsked").locator("g")
    await choices.get_by_role("link", name="30 days").press("Enter")
    await expect(page).to_have_url(re.compile(r"/overview\?window=30d$"))
    await expect(page.locator(".overview")).to_contain_text("Each column is 12 h")
    assert await steps.count() in (60, 61)
    await page.reload()
    await expect(choices.locator('[aria-current="page"]')).to_have_text("30 days")
    await choices.get_by_role("link", name="Last hour").click()
    # An hour is two full hours, and the page says so.
    await expect(page.locator(".overview")).to_contain_text(
        re.compile(r"From (\d+ \w+, )?\d\d:00, because the service counts full hours. Each column is 1 h;")
    )
    assert await steps.count() in (1, 2)
    await page.go_back()
    await expect(page.locator(".overview")).to_contain_text("Each column is 12 h")


async def test_a_late_reply_of_another_window_changes_nothing(inbox: Inbox) -> None:
    await ask(inbox.world)
    await count(inbox)
    page = await inbox.open(path="/overview")
    await expect(page.locator(".overview")).to_contain_text("Each column is 1 h")
    held: list[Route] = []

    async def hold(route: Route) -> None:
        if "2592000s" in (route.request.post_data or ""):
            held.append(route)
        else:
            await route.continue_()

    await page.route(CALL, hold)
    choices = page.get_by_role("navigation", name="Time")
    await choices.get_by_role("link", name="30 days").click()
    await expect(page).to_have_url(re.compile("30d"))
    await choices.get_by_role("link", name="7 days").click()
    await expect(page.locator(".overview")).to_contain_text("Each column is 3 h")
    [route] = held
    async with page.expect_response(CALL):
        await route.continue_()
    # What came before this reply is drawn.
    await page.evaluate(
        """fetch("/healthz").then(
            () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))"""
    )
    assert "Each column is 3 h" in await page.locator(".overview").inner_text()


async def test_old_figures_stay_with_their_time_when_a_reading_fails(inbox: Inbox) -> None:
    inbox.complaints.allowed += ["503"]
    await ask(inbox.world)
    page = await inbox.open(path="/overview")
    await waits(page, 1)
    body = json.dumps({"code": "unavailable", "message": "down"})
    await page.route(
        CALL, lambda route: route.fulfill(status=503, body=body, content_type="application/json")
    )
    await page.get_by_role("button", name="Read now").click()
    await expect(page.locator(".overview .error-note")).to_contain_text("cannot be reached")
    await expect(page.locator(".overview-read")).to_contain_text("These are the figures of")
    await waits(page, 1)
    await page.unroute(CALL)
    await page.get_by_role("button", name="Read now").click()
    await expect(page.locator(".overview .error-note")).to_have_count(0)


async def test_without_any_figures_the_page_says_so(inbox: Inbox) -> None:
    page = await inbox.open(path="/overview")
    await expect(page.get_by_text("Nothing waits for an answer")).to_be_visible()
    await expect(page.get_by_text("Nothing happened in this time")).to_be_visible()
    await expect(page.locator(".lanes, .oldest-row")).to_have_count(0)


async def test_the_palette_leads_to_it(inbox: Inbox) -> None:
    page = await inbox.open()
    await page.keyboard.press("Control+k")
    await page.keyboard.type("overview")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/overview$"))


async def test_what_is_typed_before_the_palette_is_drawn_counts(inbox: Inbox) -> None:
    """Its code loads when it is first opened. Lost letters would leave another command as the first match."""
    drawn = asyncio.Event()

    async def hold(route: Route) -> None:
        await drawn.wait()
        await route.continue_()

    context = await inbox.context("ana")
    await context.route("**/assets/windows.js*", hold)
    page = await inbox.tab(context)
    await live(page)
    await page.keyboard.press("Control+k")
    await page.keyboard.type("overwied")
    for _ in range(4):
        await page.keyboard.press("Backspace")
    await page.keyboard.type("view")
    await page.keyboard.press("Enter")
    drawn.set()
    await expect(page).to_have_url(re.compile("/overview$"))


async def test_axe_finds_nothing_on_the_overview(inbox: Inbox) -> None:
    await ask(inbox.world, title="Release?", priority=5)
    await ask(inbox.world, "support", kind="clarify", title="How do we answer?")
    await inbox.world.hitl.AnswerPrompt(answer(await ask(inbox.world)))
    await count(inbox)
    found: dict[str, list[str]] = {}
    for options in ({}, PHONE, SMALL):
        page = await inbox.open(path="/overview?window=7d", **options)
        await page.locator(".lanes").first.wait_for()
        for summary in await page.locator(".overview summary").all():
            await summary.press("Enter")
        inside = "[document.documentElement, document.querySelector('.overview')]"
        width = await page.evaluate(f"Math.max(...{inside}.map((one) => one.scrollWidth - one.clientWidth))")
        assert width <= 0, options
        if violations := await axe(page):
            found[str(options)] = violations
        await page.context.close()
    assert found == {}


@pytest_asyncio.fixture(loop_scope="session")
async def guarded(
    open_inbox: Callable[..., AbstractAsyncContextManager[Inbox]], tmp_path: Path
) -> AsyncIterator[Inbox]:
    """A page with authentication: bob sees all, ana answers only, wes works only."""
    people = TokenFile(
        tmp_path / "tokens.toml", ana={}, bob={"roles": ["client", "console"]}, wes={"roles": ["worker"]}
    )
    async with open_inbox(people) as inbox:
        inbox.complaints.allowed += ["403", "WebSocket"]
        yield inbox


async def test_a_person_who_only_answers_sees_the_figures_of_their_own_questions(guarded: Inbox) -> None:
    bob = guarded.world.with_token("bob-token")
    await ask(bob, title="For ana?", audience=audience("ana"))
    await ask(bob, title="Only bob?", audience=audience("bob"), kind="secret")
    await count(guarded)
    pages = {name: await guarded.open_with_token(name, "/overview") for name in ("ana", "bob", "wes")}
    await waits(pages["ana"], 1)
    await waits(pages["bob"], 2)
    for name, may in (("ana", 0), ("bob", 1)):
        page = pages[name]
        await expect(page.locator(".oldest-row", has_text="For ana?")).to_have_count(1)
        await expect(page.locator(".oldest-row", has_text="Only bob?")).to_have_count(may)
        await expect(page.get_by_role("heading", name="What happened")).to_have_count(may)
        await expect(page.get_by_role("heading", name="Connected now")).to_have_count(may)
        await expect(page.get_by_text("figures of the questions that you may answer")).to_have_count(1 - may)
        await expect(page.get_by_role("link", name="the job refund")).to_have_count(2 * may)
    assert "secret" not in await pages["ana"].content()
    await expect(pages["wes"].get_by_text("You have no right to see these figures")).to_be_visible()
    await expect(pages["wes"].locator(".figures, .lanes")).to_have_count(0)


async def test_figures_go_with_the_person(guarded: Inbox) -> None:
    guarded.complaints.allowed += ["401"]
    bob = guarded.world.with_token("bob-token")
    await ask(bob, title="For ana?", audience=audience("ana"))
    await ask(bob, title="Only bob?", audience=audience("bob"))
    page = await guarded.open_with_token("bob", "/overview")
    await waits(page, 2)
    await guarded.end_session(page)
    held: list[Route] = []
    await page.route(CALL, lambda route: held.append(route))
    await page.get_by_role("button", name="Sign in again").click()
    await page.get_by_label("Your token").fill("ana-token")
    await page.keyboard.press("Enter")
    await live(page)
    # Another person starts with the list.
    async with page.expect_request(CALL):
        await page.get_by_role("link", name="Overview").first.click()
    # The service has not answered ana yet: nothing of bob's is on the screen.
    await expect(page.locator(".oldest-row, .figure")).to_have_count(0)
    for route in held:
        await route.continue_()
    await waits(page, 1)
    await expect(page.locator(".oldest-row")).to_have_text(re.compile("For ana"))


async def test_it_says_in_words_whether_answers_take_longer_now(inbox: Inbox) -> None:
    for _ in range(3):
        await inbox.world.hitl.AnswerPrompt(answer(await ask(inbox.world)))
    await count(inbox)
    for locale, now, before, half, none in (
        ("en-GB", "This hour", "the hour before", r"half within [\d.]+ s \(3 answers\)", "no answers"),
        (
            "de-DE",
            "In dieser Stunde",
            "in der Stunde davor",
            r"die Hälfte innerhalb [\d,]+ s \(3 Antworten\)",
            "keine Antworten",
        ),
    ):
        page = await inbox.open(path="/overview", locale=locale)
        # The hour may end between the answers and this line.
        await expect(page.locator(".overview-trend")).to_have_text(
            re.compile(f"^{now}: ({half}; {before}: {none}|{none}; {before}: {half})\\.$")
        )
    await page.goto(f"{inbox.origin}/overview?window=7d")
    await expect(page.locator(".overview-trend")).to_have_text(re.compile("^Seit .*; in den 3 h davor: "))


async def test_it_says_how_many_of_what_waits_are_in_the_readers_inbox(inbox: Inbox) -> None:
    await ask(inbox.world, title="For all?")
    await ask(inbox.world, title="For ben?", audience=audience("ben"))
    page = await inbox.open(path="/overview")
    await waits(page, 2)
    said = page.get_by_text("of them; the others are asked of other people.")
    await expect(said).to_have_text("Your inbox has 1 of them; the others are asked of other people.")
    assert await axe(page) == []
    ben = await inbox.open("ben", path="/overview", locale="de-DE")
    await waits(ben, 2)
    await expect(ben.locator(".overview")).not_to_contain_text("In Ihrem Eingang")
