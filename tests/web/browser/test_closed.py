"""What the page says of a prompt that is closed."""

import asyncio
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.duration_pb2 import Duration
from playwright.async_api import expect

from askback.v1 import job_service_pb2 as job_service
from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, axe, live, settled
from tests.support.requests import ACCEPT, REJECT, answer, audience, confirm


async def test_a_closed_question_says_who_was_asked_and_not_who_may_answer(inbox: Inbox) -> None:
    world = inbox.world
    for title, to in (("For all?", None), ("For the desk?", audience("ana", groups=["desk"]))):
        prompt = await world.create_prompt(confirm(title, audience=to))
        await world.as_user("ana").hitl.AnswerPrompt(answer(prompt))
    await world.create_prompt(confirm("It waits"))
    page = await inbox.open(path="/?view=closed")
    for title, words in (
        ("For all?", "It was asked of everyone here."),
        ("For the desk?", "It was asked of group desk, ana."),
    ):
        await page.locator(".row-words", has_text=title).click()
        await expect(page.locator("#prompt-title")).to_have_text(title)
        await expect(page.locator(".facts")).to_contain_text(words)
        await expect(page.get_by_text("may answer")).to_have_count(0)
        await expect(page.locator(".tombstone-title")).to_contain_text("by you")
        # The list of what ended has nothing that waits; others have.
        await expect(page.get_by_text("Nothing else waits")).to_have_count(0)


@pytest.mark.parametrize(
    ("locale", "label", "words", "by"),
    [
        ("en-GB", "", "Confirm", "by you"),
        ("de-DE", "", "Bestätigen", "von Ihnen"),
        ("en-GB", "Ship it", "Approve (Ship it)", "by you"),
        ("de-DE", "Ship it", "Genehmigen (Ship it)", "von Ihnen"),
    ],
)
async def test_what_was_pressed_is_what_is_said_afterwards(
    inbox: Inbox, locale: str, label: str, words: str, by: str
) -> None:
    options = [prompts.DecisionOption(decision=ACCEPT, label=label)] if label else []
    prompt = await inbox.world.create_prompt(confirm("Go?", decisions=options))
    page = await inbox.open(path=f"/prompts/{prompt.prompt_id}", locale=locale)
    await settled(page)
    button = page.locator("[data-decision=DECISION_ACCEPT]")
    parts = await button.locator(".decision-words").evaluate(
        "(e) => [...e.childNodes].map(n => n.textContent)"
    )
    assert words == (f"{parts[0]} ({parts[1]})" if label else parts[0])
    await button.click()
    said = {"by you": f"“{words}” by you", "von Ihnen": f"„{words}“ von Ihnen"}[by]
    await expect(page.locator(".tombstone-title")).to_contain_text(said)
    await expect(page.locator(".row .ending")).to_have_text(said)
    await expect(page.locator("#polite")).to_contain_text(words)
    assert await axe(page) == []


def noon() -> str:
    """A time zone in which it is about noon: no day ends while a test runs."""
    offset = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


def move_back(lite_url: str, prompt_id: str, days: int) -> None:
    """Let a prompt have ended some days before."""
    path = lite_url.partition(":///")[2]
    at = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    with closing(sqlite3.connect(path, timeout=20)) as file, file:
        file.execute(
            "UPDATE hitl_interactions SET responded_at = ?,"
            " response_data = json_set(response_data, '$.resolved_at', ?) WHERE interaction_id = ?",
            [at, at, prompt_id],
        )


async def test_what_ended_stands_under_its_day(inbox: Inbox, lite_url: str) -> None:
    world = inbox.world
    for title, days in (("Now?", 0), ("Also now?", 0), ("One day ago?", 1), ("Nine days ago?", 9)):
        prompt = await world.create_prompt(confirm(title))
        await world.as_user("ana").hitl.AnswerPrompt(answer(prompt))
        if days:
            await asyncio.to_thread(move_back, lite_url, prompt.prompt_id, days)
    day = datetime.now(ZoneInfo(noon())) - timedelta(days=9)
    for locale, words in (("en-GB", ["Today", "Yesterday"]), ("de-DE", ["Heute", "Gestern"])):
        page = await inbox.open(path="/?view=decided", locale=locale, timezone_id=noon())
        names = page.locator(".group-name > bdi")
        await expect(names).to_have_count(3)
        assert (await names.all_text_contents())[:2] == words
        await expect(names.nth(2)).to_contain_text(str(day.day))
        first = page.locator(".group").first
        await expect(first.locator(".row-words")).to_have_text(["Also now?", "Now?"])
        # The heading has the day, so the row has the time only.
        await expect(page.locator(".row time").last).to_have_text(re.compile(r"^\d\d:\d\d$"))
        assert await axe(page) == []
    # A person's own groups take the place of the days.
    await page.goto(f"{inbox.origin}/?view=decided&group=kind")
    await expect(page.locator(".group-name")).to_have_text(["Bestätigung4"])
    await expect(page.locator(".row time").last).to_contain_text(str(day.day))
    # What closed while the page was open has its day as well.
    await page.goto(f"{inbox.origin}/?view=closed")
    await live(page)
    await expect(page.locator(".row-link").first).to_be_focused()
    prompt = await world.create_prompt(confirm("Elsewhere?"))
    await expect(page.locator('[data-view="all"] .count')).to_have_text("1")
    await world.as_user("ben").hitl.AnswerPrompt(answer(prompt))
    await page.locator(".waiting-button").click()
    await expect(page.locator(".group-name")).to_have_text(["Heute3", "Gestern1", re.compile(r".*1$")])


async def test_a_joint_decision_says_how_each_question_that_it_leaves_out_ended(inbox: Inbox) -> None:
    world = inbox.world
    content = confirm(
        "Renew?",
        timeout=Duration(seconds=10),
        final_action=prompts.FINAL_ACTION_DEFAULT,
        default_answer=prompts.DefaultAnswer(decision=REJECT),
    )
    all_of_them = [
        await world.create_prompt(content),
        await world.create_prompt(confirm("Withdrawn?")),
        await world.create_prompt(confirm("Mine?")),
    ]
    defaulted, withdrawn, mine = all_of_them
    page = await inbox.open()
    for prompt in all_of_them:
        await page.locator(f'[data-choose="{prompt.prompt_id}"]').check()
    await page.get_by_role("button", name="Decide together").click()
    await world.jobs.CancelJob(job_service.CancelJobRequest(job_id=withdrawn.job_id))
    await world.as_user("ana").hitl.AnswerPrompt(answer(mine))
    for prompt, words in (
        (defaulted, "Left out: “Reject” by default"),
        (withdrawn, "Left out: Withdrawn"),
        (mine, "Left out: “Confirm” by you"),
    ):
        left_out = page.locator(f'[data-bulk="{prompt.prompt_id}"] .left-out')
        await expect(left_out).to_have_text(words)
    assert await axe(page) == []


async def test_the_commands_have_the_way_out(inbox: Inbox) -> None:
    page = await inbox.open()
    await page.keyboard.press("Control+k")
    await page.keyboard.type("sign out")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog", name="Sign out")).to_contain_text("Sign out of this browser?")


async def test_what_others_closed_before_the_page_was_open_is_found(inbox: Inbox) -> None:
    world = inbox.world
    ben = world.as_user("ben")
    first = await world.create_prompt(confirm("Refund one?"))
    await ben.hitl.AnswerPrompt(answer(first, decision=REJECT, comment="too late"))
    second = await world.create_prompt(confirm("Refund two?", labels={"team": "a"}))
    await world.jobs.CancelJob(job_service.CancelJobRequest(job_id=second.job_id))
    hidden = await world.create_prompt(confirm("For ben?", audience=audience("ben")))
    await ben.hitl.AnswerPrompt(answer(hidden))
    third = await world.create_prompt(confirm("Still open?"))
    page = await inbox.open(path="/?view=closed", locale="de-DE", timezone_id=noon())
    titles = page.locator(".row-words")
    await expect(titles).to_have_text(["Refund two?", "Refund one?"])
    await expect(page.locator(".ending")).to_have_text(["Zurückgezogen", "„Ablehnen“ von ben"])
    await expect(page.locator(".summary")).to_have_text("2 geschlossene Fragen")
    await expect(page.locator(".group-name")).to_have_text(["Heute2"])
    # What closes now comes on top, and waits while a person is in the list.
    await page.locator(".row-link").first.focus()
    await ben.hitl.AnswerPrompt(answer(third))
    await page.locator(".waiting-button").click()
    await expect(titles).to_have_text(["Still open?", "Refund two?", "Refund one?"])
    assert await axe(page) == []
    await page.locator("#search").fill("one")
    await expect(titles).to_have_text(["Refund one?"])
    await page.keyboard.press("Enter")
    await expect(page.locator(".tombstone-title")).to_contain_text("„Ablehnen“ von ben")
    await expect(page.locator(".tombstone-comment")).to_have_text("too late")
    await page.goto(f"{inbox.origin}/?view=closed&label=team%3Da")
    await expect(titles).to_have_text(["Refund two?"])
    await page.goto(f"{inbox.origin}/?view=closed&label=team%3Db")
    await expect(page.locator(".empty-title")).to_have_text("Nichts hier passt zu den Filtern")
