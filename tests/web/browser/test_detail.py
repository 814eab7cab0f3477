"""What the page says about a prompt: who asks, until when, what happens then, and what was before."""

from playwright.async_api import expect

from askback.v1 import job_pb2, prompt_pb2, worker_service_pb2
from tests.support.browser import Inbox, settled
from tests.support.requests import ACCEPT, answer, audience, confirm, seconds


async def test_the_header_says_in_words_what_happens_when(inbox: Inbox) -> None:
    step = prompt_pb2.EscalationStep(after=seconds(3000), to=audience(groups=["leads"]))
    prompt = await inbox.world.create_prompt(
        confirm(
            "Pay?",
            audience=audience("ana", groups=["desk"]),
            timeout=seconds(7200),
            final_action=prompt_pb2.FINAL_ACTION_FAIL_JOB,
            escalation=[step],
            reminders=prompt_pb2.Reminders(every=seconds(900)),
        ),
        job_type="refund",
    )
    page = await inbox.open(path=f"/prompts/{prompt.prompt_id}")
    await settled(page)
    facts = page.locator(".facts")
    for text in (
        "Asked by the job refund for ada",
        "1 h 59 min left, until",
        "Then the job fails.",
        "Without an answer, group leads will be asked too",
        "Next reminder",
        "then every 15 min",
        "Only group desk, ana may answer.",
        "Not claimed.",
    ):
        await expect(facts).to_contain_text(text)
    exact = await page.locator(".fact time").first.get_attribute("title")
    assert exact is not None
    assert "CET" in exact


async def test_earlier_rounds_and_the_job_are_shown_with_their_answers(inbox: Inbox) -> None:
    world = inbox.world
    lease = await world.lease_new_job("deploy")
    first = await world.ask(lease, "scope", confirm("Which services?"))
    await world.as_user("ben").hitl.AnswerPrompt(answer(first, decision=ACCEPT, comment="billing only"))
    progress = job_pb2.Progress(done=3, total=10, message="images built")
    await world.workers.ReportProgress(
        worker_service_pb2.ReportProgressRequest(
            job_id=lease.job.job_id, token=lease.token, progress=progress
        )
    )
    second = await world.ask(lease, "ship", confirm("Release?"))
    other = await world.ask(lease, "tell", confirm("Tell the customers?"))
    page = await inbox.open(path=f"/prompts/{second.prompt_id}")
    await settled(page)
    await expect(page.locator(".siblings a")).to_have_text(["Tell the customers?"])
    await page.get_by_text("Earlier questions of this job").click()
    await expect(page.locator(".rounds")).to_contain_text("“Confirm” by ben")
    await expect(page.locator(".rounds blockquote")).to_have_text("billing only")
    await page.get_by_text("The job: deploy").click()
    await expect(page.locator(".job-head")).to_contain_text("images built")
    await expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "30")
    await expect(page.locator(".timeline")).to_contain_text("Asks people: Release?")
    await expect(page.locator(".timeline")).to_contain_text("Answered by ben: Which services?")
    # The section is live: it follows the job while it is open.
    await world.as_user("ben").hitl.AnswerPrompt(answer(other))
    await expect(page.locator(".timeline li", has_text="Answered by ben")).to_have_count(2)
