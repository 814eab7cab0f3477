"""Connections that are dead without an end, as after a sleep."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, live, settled
from tests.support.processes import eventually
from tests.support.requests import answer, confirm
from tests.support.waiting import until
from tests.support.web import gateway_for
from tests.support.wire import Wire

APPROVE = "[data-decision=DECISION_ACCEPT]"
SLEPT = 90
"""A sleep in seconds: longer than the silence after which a page does not trust its socket."""


@pytest_asyncio.fixture(loop_scope="session")
async def wire(inbox: Inbox) -> AsyncIterator[Wire]:
    """What the page of the inbox is connected through."""
    wire = Wire(inbox.web.port)
    async with wire.serve():
        origin = f"http://127.0.0.1:{wire.port}"
        async with gateway_for(inbox.world, public_origins=(origin,)) as web:
            wire.to_port = web.port
            inbox.web = wire
            inbox.complaints.allowed += ["ERR_", "WebSocket", "502", "503"]
            yield wire
            await inbox.close()


async def open_page(inbox: Inbox, prompt: prompts.Prompt) -> Page:
    """The page with a prompt, ready to be decided, and a clock that the test moves."""
    context = await inbox.context()
    page = await context.new_page()
    await page.clock.install()
    inbox.complaints.watch(page)
    await page.goto(f"{inbox.origin}/prompts/{prompt.prompt_id}")
    await live(page)
    await settled(page)
    return page


async def answers(inbox: Inbox, prompt: prompts.Prompt) -> list[prompts.AnswerRecord]:
    """What was submitted to a prompt, refused answers included."""
    request = hitl.ListAnswersRequest(prompt_id=prompt.prompt_id)
    return list((await inbox.world.hitl.ListAnswers(request)).answers)


async def change_everything(inbox: Inbox, closing: prompts.Prompt) -> None:
    """Close a prompt in another person's name, and ask two new ones."""
    await inbox.world.as_user("ben").hitl.AnswerPrompt(answer(closing))
    for n in range(2):
        await inbox.world.create_prompt(confirm(f"New {n}"))


@pytest.mark.parametrize("how", ["silent for long", "the clock jumped"])
async def test_a_socket_that_died_in_silence_is_noticed_and_replaced(
    inbox: Inbox, wire: Wire, how: str
) -> None:
    shown = await inbox.world.create_prompt(confirm("Shown?"))
    closing = await inbox.world.create_prompt(confirm("Closing?"))
    page = await open_page(inbox, shown)
    await page.locator("#comment").fill("kept")
    accepted = wire.accepted
    wire.swallow()
    await change_everything(inbox, closing)
    await until(lambda: wire.swallowed > 0)
    # The page cannot know yet.
    assert wire.accepted == accepted
    await expect(page.locator('[data-link="live"]')).to_be_visible()
    await expect(page.locator('[data-view="all"] .count')).to_have_text("2")
    if how == "silent for long":
        await page.clock.fast_forward(SLEPT * 1000)
    else:
        # As where the running clock stands still in a sleep. The page looks at it when it is shown again.
        now = await page.evaluate("Date.now() / 1000")
        await page.clock.set_system_time(now + SLEPT)
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(page.locator(".away")).to_contain_text("1 closed, 2 new")
    assert wire.accepted > accepted
    await live(page)
    await expect(page.locator('[data-view="all"] .count')).to_have_text("3")
    await expect(page.locator("#comment")).to_have_value("kept")
    await settled(page)
    await page.locator(APPROVE).click()
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")
    [record] = await answers(inbox, shown)
    assert (record.answer.user_id, record.answer.comment) == ("ana", "kept")


async def test_an_answer_into_a_dead_socket_counts_once(inbox: Inbox, wire: Wire) -> None:
    """It goes into nothing, and again, under the same id, over the next socket."""
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await open_page(inbox, prompt)
    wire.swallow()
    before = wire.swallowed
    await page.locator(APPROVE).click()
    await until(lambda: wire.swallowed > before)
    await expect(page.locator(APPROVE)).to_have_attribute("aria-disabled", "true")
    # A later press sends nothing more.
    await page.locator(APPROVE).click(force=True)
    assert not await answers(inbox, prompt)
    await page.clock.fast_forward(SLEPT * 1000)
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")
    [record] = await answers(inbox, prompt)
    assert (await inbox.world.prompt(prompt.prompt_id)).resolution.answer.answer_id == record.answer.answer_id


async def test_an_answer_whose_reply_vanished_counts_once(inbox: Inbox, wire: Wire) -> None:
    """The service has it, the page does not know: it sends it again and gets the first verdict."""
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await open_page(inbox, prompt)
    wire.swallow_replies()
    await page.locator(APPROVE).click()
    await eventually(lambda: answers(inbox, prompt), "the service has the answer")
    await expect(page.locator(".tombstone-title")).to_have_count(0)
    await page.clock.fast_forward(SLEPT * 1000)
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")
    assert len(await answers(inbox, prompt)) == 1
    assert (await inbox.world.prompt(prompt.prompt_id)).submissions == 1
