"""A token is removed while its person writes: the page says so by itself, and keeps what was written."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from askback_server.transport import open_calls, tokens
from tests.support.browser import Inbox, live, settled
from tests.support.requests import confirm, form
from tests.support.service import Caller
from tests.support.token_files import TokenFile


@pytest.fixture
def people(tmp_path: Path) -> TokenFile:
    """The tokens: ana answers, ada asks."""
    return TokenFile(tmp_path / "tokens.toml", ana={}, ben={}, ada={"roles": ["client", "console"]})


@pytest_asyncio.fixture(loop_scope="session")
async def guarded(
    open_inbox: Callable[..., AbstractAsyncContextManager[Inbox]],
    people: TokenFile,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[Inbox, Caller]]:
    """A page with authentication, and ada's calls."""
    monkeypatch.setattr(open_calls, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(tokens, "_RECHECK_SECONDS", 0.0)
    async with open_inbox(people) as inbox:
        inbox.complaints.allowed += ["401", "WebSocket"]
        yield inbox, inbox.world.with_token("ada-token")


async def ask(caller: Caller, content: prompts.PromptContent) -> prompts.Prompt:
    """Ask a prompt without a worker."""
    request = jobs.CreateJobRequest(job_type="t", prompt=content)
    prompt: prompts.Prompt = (await caller.jobs.CreateJob(request)).prompt
    return prompt


async def sign_in(page: Page, token: str) -> None:
    """Sign in with a token, as a person does."""
    await page.get_by_label("Your token").fill(token)
    await page.keyboard.press("Enter")
    await live(page)


async def test_a_removed_token_signs_out_at_once_and_the_form_stays(
    guarded: tuple[Inbox, Caller], people: TokenFile
) -> None:
    inbox, ada = guarded
    prompt = await ask(ada, form("How many?"))
    page = await inbox.open("", f"/prompts/{prompt.prompt_id}")
    await sign_in(page, "ana-token")
    await settled(page)
    number = page.locator(".form-box input").first
    await number.fill("41")
    await page.locator("#comment").fill("counted twice")
    people.write(without="ana")
    # The page does nothing for it: the service ends its stream.
    await page.wait_for_selector('[data-link="signed_out"]')
    await expect(number).to_have_value("41")
    await expect(page.locator("#comment")).to_have_value("counted twice")
    decision = page.locator("[data-decision=DECISION_RESPOND]")
    await expect(decision).to_have_attribute("aria-disabled", "true")
    await expect(page.locator("#answer-why")).to_contain_text("sign in again")
    await decision.click(force=True)
    # The removed token opens nothing; a new one continues where the person was.
    await page.get_by_role("button", name="Sign in again").click()
    await page.get_by_label("Your token").fill("ana-token")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    people.write(ana={"token": "ana-new"})
    await sign_in(page, "ana-new")
    await expect(number).to_have_value("41")
    await expect(page.locator("#comment")).to_have_value("counted twice")
    await settled(page)
    await decision.click()
    await expect(page.locator(".tombstone-title")).to_contain_text("“Answer” by you")
    request = hitl.ListAnswersRequest(prompt_id=prompt.prompt_id)
    [record] = (await ada.hitl.ListAnswers(request)).answers
    assert (record.answer.user_id, record.answer.comment) == ("ana", "counted twice")
    assert json.loads(record.answer.values_json) == {"n": 41}


async def test_another_person_who_signs_in_gets_none_of_the_text(
    guarded: tuple[Inbox, Caller], people: TokenFile
) -> None:
    inbox, ada = guarded
    prompt = await ask(ada, confirm("Go?"))
    page = await inbox.open("", f"/prompts/{prompt.prompt_id}")
    await sign_in(page, "ana-token")
    await settled(page)
    await page.locator("#comment").fill("of ana")
    people.write(without="ana")
    await page.wait_for_selector('[data-link="signed_out"]')
    await page.get_by_role("button", name="Sign in again").click()
    await sign_in(page, "ben-token")
    # Another person starts with the list.
    await page.locator(f'[data-open="{prompt.prompt_id}"]').click()
    await settled(page)
    await expect(page.locator("#comment")).to_have_value("")
    await page.locator("[data-decision=DECISION_ACCEPT]").click()
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")
    [record] = (await ada.hitl.ListAnswers(hitl.ListAnswersRequest(prompt_id=prompt.prompt_id))).answers
    assert (record.answer.user_id, record.answer.comment) == ("ben", "")
