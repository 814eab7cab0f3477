"""The list of jobs and the page of a job: live, filters in the address, cancel and retry."""

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2 as jobs
from askback.v1 import job_service_pb2 as job_service
from askback.v1 import worker_service_pb2 as workers
from tests.support.browser import Inbox, axe, live
from tests.support.processes import eventually
from tests.support.requests import answer, audience, confirm, seconds
from tests.support.token_files import TokenFile

PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}


async def test_the_list_follows_every_job_to_its_end(inbox: Inbox) -> None:
    world = inbox.world
    waiting = await world.create("refund")
    page = await inbox.open()
    await page.get_by_role("link", name="Jobs").click()
    await expect(page).to_have_url(re.compile("/jobs$"))
    row = page.locator(f'[data-job="{waiting.job_id}"]')
    await expect(row).to_contain_text("Waits for a worker")
    [lease] = (await world.lease("refund")).jobs
    await expect(row).to_contain_text("Running")
    progress = jobs.Progress(done=3, total=10, message="images built")
    await world.workers.ReportProgress(
        workers.ReportProgressRequest(job_id=waiting.job_id, token=lease.token, progress=progress)
    )
    await expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "30")
    await expect(row).to_contain_text("images built")
    await world.ask(lease, "pay", confirm("Pay?"))
    await expect(row).to_contain_text("Waits for people: 1 question")
    newer = await world.create("deploy")
    await expect(page.locator(".job-row")).to_have_count(2)
    await expect(page.locator(".job-row").first).to_have_attribute("data-job", newer.job_id)
    await world.jobs.CancelJob(job_service.CancelJobRequest(job_id=newer.job_id))
    await expect(page.locator(".job-row").first).to_contain_text("Cancelled")
    # Jobs that had ended before the page was opened are in the list too.
    await page.reload()
    await expect(page.locator(".job-row")).to_have_count(2)
    await expect(page.get_by_role("status").filter(has_text="2 jobs")).to_be_visible()


async def test_filters_of_jobs_stand_in_the_address(inbox: Inbox) -> None:
    world = inbox.world
    for kind, team in (("refund", "a"), ("refund", "b"), ("deploy", "a")):
        await world.create(kind, labels={"team": team})
    ended = await world.create("deploy", labels={"team": "a"})
    await world.jobs.CancelJob(job_service.CancelJobRequest(job_id=ended.job_id))
    await world.as_user("ben").jobs.CreateJob(job_service.CreateJobRequest(job_type="deploy"))
    page = await inbox.open(path="/jobs?type=deploy")
    rows = page.locator(".job-row")
    await expect(rows).to_have_count(3)
    box = page.get_by_role("checkbox", name="Cancelled")
    await box.focus()
    await page.keyboard.press("Space")
    await expect(rows).to_have_count(1)
    await expect(box).to_be_focused()
    await page.keyboard.press("Space")
    field = page.get_by_role("combobox", name="Creator")
    await field.fill("ada")
    await field.press("Enter")
    await expect(rows).to_have_count(2)
    field = page.get_by_role("combobox", name="Label")
    await field.fill("team=a")
    await field.press("Enter")
    await expect(page).to_have_url(re.compile(r"/jobs\?type=deploy&creator=ada&label=team%3Da$"))
    await page.reload()
    await expect(rows).to_have_count(2)
    await page.get_by_role("button", name="Remove the filter deploy").click()
    await expect(rows).to_have_count(3)
    # A label has one value, so that another one takes its place.
    await field.fill("team=b")
    await field.press("Enter")
    await expect(page).to_have_url(re.compile(r"/jobs\?creator=ada&label=team%3Db$"))
    await expect(rows).to_have_count(1)
    await field.fill("team")
    await field.press("Enter")
    await expect(page.locator(".job-filters .error-note")).to_contain_text("name=value")
    await page.get_by_role("button", name="Clear filters").click()
    await expect(rows).to_have_count(5)


async def test_a_long_list_of_ended_jobs_is_read_in_pages(inbox: Inbox) -> None:
    for _ in range(205):
        job = await inbox.world.create("t")
        await inbox.world.jobs.CancelJob(job_service.CancelJobRequest(job_id=job.job_id))
    page = await inbox.open(path="/jobs?state=cancelled")
    await expect(page.locator(".job-row")).to_have_count(200)
    await expect(page.locator(".jobs .summary")).to_have_text("200 jobs, and older ones")
    await page.get_by_role("button", name="Show 200 more").click()
    await expect(page.locator(".job-row")).to_have_count(205)
    await expect(page.locator(".jobs .summary")).to_have_text("205 jobs")


async def test_the_page_of_a_job_shows_what_it_asked_and_what_happened(inbox: Inbox) -> None:
    world = inbox.world
    lease = await world.lease_new_job("deploy", input_json='{"service": "billing"}', labels={"team": "a"})
    job_id = lease.job.job_id
    first = await world.ask(lease, "scope", confirm("Which services?"))
    await world.as_user("ben").hitl.AnswerPrompt(answer(first, comment="billing only"))
    second = await world.ask(lease, "ship", confirm("Release?"))
    page = await inbox.open(path="/jobs")
    await page.get_by_role("link", name=re.compile("deploy")).click()
    await expect(page).to_have_url(re.compile(f"/jobs/{job_id}$"))
    status = page.locator(".job-head")
    await expect(status).to_contain_text("Waits for people: 1 question")
    await expect(page.locator(".rounds")).to_contain_text("“Confirm” by ben")
    await expect(page.locator(".rounds li").nth(1)).to_contain_text("Waits for an answer of ")
    link = page.get_by_role("link", name="Release?")
    assert (await link.get_attribute("href")) == f"/prompts/{second.prompt_id}"
    await page.get_by_text("Input", exact=True).click()
    await expect(page.get_by_text('"billing"')).to_be_visible()
    # It is live: an answer, a checkpoint, the result.
    await world.as_user("ben").hitl.AnswerPrompt(answer(second))
    await expect(status).to_contain_text("Running")
    await world.workers.SaveCheckpoint(
        workers.SaveCheckpointRequest(
            job_id=job_id, token=lease.token, key="built", value_json='{"image": "v7"}'
        )
    )
    await page.locator("summary", has_text="built").click()
    await expect(page.get_by_text('"v7"')).to_be_visible()
    await world.workers.CompleteJob(
        workers.CompleteJobRequest(job_id=job_id, token=lease.token, result_json='{"released": true}')
    )
    await expect(status).to_contain_text("Done")
    await expect(page.get_by_text("released")).to_be_visible()
    events = page.locator(".timeline li")
    await expect(events.first).to_contain_text("Created by ada")
    await expect(events.last).to_contain_text("Done")
    await link.click()
    await expect(page).to_have_url(re.compile(f"/prompts/{second.prompt_id}"))


async def test_the_course_of_a_job_is_a_picture_with_zoom_and_a_table(inbox: Inbox) -> None:
    world = inbox.world
    lease = await world.lease_new_job("deploy")
    job_id = lease.job.job_id
    prompt = await world.ask(lease, "ship", confirm("Release?"))
    await world.as_user("ben").hitl.AnswerPrompt(answer(prompt))
    await world.workers.CompleteJob(workers.CompleteJobRequest(job_id=job_id, token=lease.token))
    page = await inbox.open(path=f"/jobs/{job_id}")
    picture = page.get_by_role("img", name=re.compile("Attempts, workers"))
    for kind in ("attempt", "lease", "wait", "prompt"):
        await expect(picture.locator(f"rect.is-{kind}")).to_have_count(1)
    await expect(picture).to_contain_text("Question: Release?")

    async def length() -> float:
        first, last = [await picture.get_attribute(name) for name in ("data-from", "data-to")]
        return float(last or 0) - float(first or 0)

    whole = await length()
    await page.get_by_role("button", name="Closer").press("Enter")
    await expect(picture).not_to_have_attribute("data-to", await picture.get_attribute("data-from") or "")
    assert await length() == pytest.approx(whole / 2)
    await page.get_by_role("button", name="All", exact=True).press("Enter")
    assert await length() == whole
    await page.get_by_text("As a table").click()
    rows = page.locator(".course-table tbody tr")
    await expect(rows).to_have_count(4)
    await expect(rows.filter(has_text="Held by the worker w")).to_have_count(1)
    await expect(rows.filter(has_text="Question: Release?")).to_have_count(1)


async def test_a_job_is_cancelled_and_run_again_after_a_confirmation(inbox: Inbox) -> None:
    job = await inbox.world.create("refund")
    page = await inbox.open(path=f"/jobs/{job.job_id}")
    await page.get_by_role("button", name="Cancel this job").click()
    window = page.get_by_role("dialog")
    await window.get_by_role("button", name="Leave it").click()
    await expect(window).to_have_count(0)
    assert (await inbox.world.job(job.job_id)).state == jobs.JOB_STATE_PENDING
    await page.get_by_role("button", name="Cancel this job").press("Enter")
    await window.get_by_role("textbox").fill("sent twice")
    await window.get_by_role("button", name="Cancel the job").click()
    await expect(page.locator(".job-head")).to_contain_text("Cancelled")
    await expect(page.locator(".job-facts")).to_contain_text("sent twice")
    await expect(page.locator(".job-facts")).to_contain_text("ana")
    await page.get_by_role("button", name="Run it again").click()
    await expect(window.get_by_role("radio", name="Nothing")).to_be_checked()
    await window.get_by_role("button", name="Run it again").click()
    await expect(page.locator(".job-head")).to_contain_text("Waits for a worker")
    await expect(page).not_to_have_url(re.compile(job.job_id))
    await expect(page.locator(".job-facts")).to_contain_text("Repeats")
    await page.go_back()
    await expect(page.locator(".job-head")).to_contain_text("Cancelled")


async def test_axe_finds_nothing_on_the_pages_of_jobs(inbox: Inbox) -> None:
    world = inbox.world
    lease = await world.lease_new_job("deploy", input_json='{"a": [1, 2]}', labels={"team": "a"})
    job_id = lease.job.job_id
    await world.workers.ReportProgress(
        workers.ReportProgressRequest(
            job_id=job_id, token=lease.token, progress=jobs.Progress(done=1, total=4, message="tests")
        )
    )
    await world.ask(lease, "ship", confirm("Release?"))
    failed = await world.lease_new_job("refund", max_attempts=1)
    failure = jobs.Failure(code="ValueError", message="no such order", details_json='{"order": 7}')
    await world.workers.FailJob(
        workers.FailJobRequest(job_id=failed.job.job_id, token=failed.token, failure=failure)
    )
    found: dict[str, list[str]] = {}
    for options in ({}, PHONE):
        context = await inbox.context(**options)
        for path in ("/jobs?type=deploy&type=refund", f"/jobs/{job_id}", f"/jobs/{failed.job.job_id}"):
            page = await inbox.tab(context, path)
            await page.locator(".job-head, .job-row").first.wait_for()
            await live(page)
            width = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert width <= 0, path
            if violations := await axe(page):
                found[f"{path} {options}"] = violations
            await page.close()
    assert found == {}


async def test_a_person_who_only_answers_sees_the_head_of_a_job_and_their_questions(
    open_inbox: Callable[..., AbstractAsyncContextManager[Inbox]], tmp_path: Path
) -> None:
    everything = ["client", "worker", "console"]
    people = TokenFile(
        tmp_path / "tokens.toml",
        ana={},
        bob={"roles": everything},
        carl={"roles": ["client", "console"]},
    )
    async with open_inbox(people) as inbox:
        bob: Any = inbox.world.with_token("bob-token")
        created = await bob.jobs.CreateJob(
            job_service.CreateJobRequest(job_type="deploy", input_json='{"key": "hidden"}')
        )
        job_id = created.job.job_id
        request = workers.LeaseJobsRequest(job_types=["deploy"], worker_id="w")
        [lease] = (await bob.workers.LeaseJobs(request)).jobs
        for key, title, name in (("a", "Release?", "ana"), ("b", "Only bob?", "bob")):
            content = confirm(title, audience=audience(name))
            await bob.workers.AskPrompt(
                workers.AskPromptRequest(job_id=job_id, token=lease.token, key=key, content=content)
            )
        for name in ("ana", "bob", "carl"):
            page = await inbox.open_with_token(name, f"/jobs/{job_id}")
            await live(page)
            may = int(name != "ana")
            questions = "2 questions" if may else "1 question"
            await expect(page.locator(".job-head")).to_contain_text(f"Waits for people: {questions}")
            await expect(page.locator(".rounds")).to_contain_text("Release?")
            await expect(page.locator(".timeline")).to_contain_text("Asks people: Release?")
            await expect(page.locator(".timeline li", has_text="Only bob?")).to_have_count(may)
            await expect(page.locator(".rounds li", has_text="Only bob?")).to_have_count(may)
            await expect(page.get_by_role("link", name="Jobs")).to_have_count(2 * may)
            await expect(page.get_by_role("button", name="Cancel this job")).to_have_count(may)
            await expect(page.get_by_text("Input", exact=True)).to_have_count(may)
            await expect(page.get_by_role("heading", name="Checkpoints")).to_have_count(may)
            await page.goto(f"{inbox.origin}/jobs")
            await live(page)
            await expect(page.locator(".job-row")).to_have_count(may)
            await expect(page.get_by_text("You have no right to see the list")).to_have_count(1 - may)


async def test_a_job_says_who_it_waits_for_and_whether_one_of_them_is_there(inbox: Inbox) -> None:
    world = inbox.world
    lease = await world.lease_new_job("deploy")
    asked = confirm("May we publish it?", audience=audience("cora", groups=["legal"]), timeout=seconds(7_200))
    prompt = await world.ask(lease, "legal", asked)
    await world.ask(lease, "all", confirm("Go on?"))
    await eventually(
        lambda: is_unattended(inbox, prompt.prompt_id), "no person of the audience of the question is there"
    )
    for locale, words in (
        (
            "en-GB",
            r"Waits for an answer of group legal, cora, for .+, until .*"
            r" None of them (is connected|has been connected for \d.+)\.",
        ),
        (
            "de-DE",
            r"Wartet auf eine Antwort von Gruppe legal, cora, seit .+, bis .*"
            r" Niemand davon ist verbunden(, seit \d.+)?\.",
        ),
    ):
        page = await inbox.open("ada", f"/jobs/{lease.job.job_id}", locale=locale)
        question = page.locator(".rounds li", has_text="May we publish it?").locator(".round-answer")
        await expect(question).to_have_text(re.compile(words))
    open_to_all = page.locator(".rounds li", has_text="Go on?").locator(".round-answer")
    await expect(open_to_all).to_contain_text("allen, die sie sehen dürfen")
    await expect(open_to_all).to_contain_text("ohne Frist. Jemand davon ist verbunden.")
    # It is live: a person of the group comes, and claims it.
    legal = await inbox.context("dora", ("legal",))
    await live(await inbox.tab(legal))
    await expect(question).to_contain_text("Jemand davon ist verbunden.")
    await world.as_user("dora", "legal").hitl.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=prompt.prompt_id))
    await expect(question).to_contain_text("Von dora belegt.")
    assert await axe(page) == []


async def is_unattended(inbox: Inbox, prompt_id: str) -> bool:
    """Whether the service has marked a prompt as unattended."""
    return (await inbox.world.prompt(prompt_id)).HasField("unattended_time")


async def test_jobs_have_the_titles_of_questions_in_the_inbox(inbox: Inbox) -> None:
    world = inbox.world
    shown = await world.create_prompt(confirm("Pay 84.00 EUR?"))
    hidden = await world.create_prompt(confirm("For ben?", audience=audience("ben")))
    page = await inbox.open(path="/jobs")
    await expect(page.locator(f'[data-job="{shown.job_id}"] .job-question')).to_have_text(["Pay 84.00 EUR?"])
    await expect(page.locator(f'[data-job="{hidden.job_id}"] .job-question')).to_have_count(0)
    # It stays after the end, as long as the page knows it.
    await world.as_user("ben").hitl.AnswerPrompt(answer(shown))
    await expect(page.locator(f'[data-job="{shown.job_id}"]')).to_contain_text("Done")
    await expect(page.locator(f'[data-job="{shown.job_id}"] .job-question')).to_have_text(["Pay 84.00 EUR?"])
    assert await axe(page) == []
