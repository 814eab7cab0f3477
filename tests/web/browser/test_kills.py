"""Gateway and service are killed under open pages: nothing is lost or doubled."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, live, settled
from tests.support.requests import answer, confirm
from tests.support.site import Site, running_site

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
APPROVE = "[data-decision=DECISION_ACCEPT]"


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """The service and the gateway, as processes."""
    async with running_site(tmp_path) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def people(chromium: object, site: Site) -> AsyncIterator[Inbox]:
    """People at its page."""
    inbox = Inbox(chromium, site.world, site)
    inbox.complaints.allowed += ["ERR_", "WebSocket", "502", "503"]
    yield inbox
    await inbox.close()


async def answers(site: Site, prompt: prompts.Prompt) -> list[prompts.AnswerRecord]:
    """What was submitted to a prompt, refused answers included."""
    request = hitl.ListAnswersRequest(prompt_id=prompt.prompt_id)
    return list((await site.world.hitl.ListAnswers(request)).answers)


async def lost(page: Page) -> None:
    """Wait until the page says that it has no connection."""
    await page.wait_for_selector('[data-link="offline"], [data-link="connecting"]')


async def away_for_long(page: Page, since: float) -> None:
    """Wait until the absence is long enough to be worth a message, by the page's own clock."""
    await page.wait_for_function("(since) => performance.now() - since > 2500", arg=since)


@pytest.mark.parametrize("victims", ["gateway", "server", "gateway server"])
async def test_a_page_survives_a_kill_and_says_what_changed(people: Inbox, site: Site, victims: str) -> None:
    world = site.world
    shown = await world.create_prompt(confirm("Shown?"))
    closing = await world.create_prompt(confirm("Closing?"))
    page = await people.open(path=f"/prompts/{shown.prompt_id}")
    await settled(page)
    await page.locator("#comment").fill("kept")
    for victim in victims.split():
        {"gateway": site.gateway, "server": site.server}[victim].kill()
    await lost(page)
    since = await page.evaluate("performance.now()")
    approve = page.locator(APPROVE)
    await expect(approve).to_have_attribute("aria-disabled", "true")
    await approve.click(force=True)
    async with site.unseen() as unseen:
        await unseen.as_user("ben").hitl.AnswerPrompt(answer(closing))
        new = [await unseen.create_prompt(confirm(f"New {n}")) for n in range(2)]
    await away_for_long(page, since)
    await site.start()
    await live(page)
    await expect(page.locator(".away")).to_contain_text("1 closed, 2 new")
    await expect(page.locator('[data-view="all"] .count')).to_have_text("3")
    for prompt in (shown, *new):
        await expect(page.locator(f'[data-open="{prompt.prompt_id}"]')).to_have_count(1)
    await expect(page.locator("#comment")).to_have_value("kept")
    assert not (await world.prompt(shown.prompt_id)).submissions
    await settled(page)
    await approve.click()
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")
    [record] = await answers(site, shown)
    assert (record.answer.user_id, record.answer.comment) == ("ana", "kept")


async def test_an_answer_survives_the_kill_of_the_gateway_that_had_it(people: Inbox, site: Site) -> None:
    """The page is told nothing. It sends the same answer again, and the service counts it once."""
    prompt = await site.world.create_prompt(confirm("Go?"))
    page = await people.open(path=f"/prompts/{prompt.prompt_id}")
    await settled(page)
    site.gateway.signal(signal.SIGSTOP)
    await page.locator(APPROVE).click()
    await expect(page.locator("#answer-why")).to_contain_text("Sending")
    site.gateway.kill()
    await lost(page)
    await expect(page.locator(".tombstone-title")).to_have_count(0)
    await site.start()
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")
    assert len(await answers(site, prompt)) == 1
    assert (await site.world.prompt(prompt.prompt_id)).submissions == 1


async def test_an_answer_survives_the_kill_of_the_service_and_a_reload(people: Inbox, site: Site) -> None:
    prompt = await site.world.create_prompt(confirm("Go?"))
    page = await people.open(path=f"/prompts/{prompt.prompt_id}")
    await settled(page)
    await page.locator("#comment").fill("with words")
    site.server.signal(signal.SIGSTOP)
    await page.locator(APPROVE).click()
    await expect(page.locator("#answer-why")).to_contain_text("Sending")
    site.server.kill()
    await lost(page)
    await page.reload()
    await site.start()
    await live(page)
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")
    [record] = await answers(site, prompt)
    assert record.answer.comment == "with words"
    assert (await site.world.prompt(prompt.prompt_id)).submissions == 1
