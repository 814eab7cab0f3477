"""Delegation and absence in the page: who acts for whom, giving a prompt away and back, and being away."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import policy_service_pb2 as policy
from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, axe, live, settled
from tests.support.requests import answer, audience, confirm
from tests.support.token_files import TokenFile

PEOPLE: dict[str, dict[str, Any]] = {
    "root": {"roles": ["admin"]},
    "dev": {"roles": ["console", "client"]},
    "ana": {},
    "ben": {},
    "cy": {"groups": ["ops"]},
}


@pytest_asyncio.fixture(loop_scope="session")
async def team(
    open_inbox: Callable[..., AbstractAsyncContextManager[Inbox]], tmp_path: Path
) -> AsyncIterator[Inbox]:
    """An inbox of `PEOPLE`, who are in the directory."""
    async with open_inbox(TokenFile(tmp_path / "tokens.toml", **PEOPLE)) as opened:
        await opened.world.service.replica.directory.write()
        yield opened


async def ask(inbox: Inbox, title: str = "Release?", *users: str, **fields: Any) -> prompts.Prompt:
    """A prompt of `dev` for these people, or for `ana`."""
    content = confirm(title, kind="confirm", audience=audience(*(users or ("ana",))), **fields)
    request = jobs.CreateJobRequest(job_type="release", prompt=content)
    made: prompts.Prompt = (await inbox.world.with_token("dev-token").jobs.CreateJob(request)).prompt
    return made


async def stored(inbox: Inbox, prompt: prompts.Prompt) -> prompts.Prompt:
    """The prompt as it is now."""
    request = hitl.GetPromptRequest(prompt_id=prompt.prompt_id)
    return (await inbox.world.with_token("root-token").hitl.GetPrompt(request)).prompt


async def show(inbox: Inbox, user: str, prompt: prompts.Prompt) -> Page:
    """The page of a person with this prompt."""
    page = await inbox.open_with_token(user, f"/prompts/{prompt.prompt_id}")
    await live(page)
    await expect(page.locator("#prompt-title")).to_be_visible()
    return page


def line(page: Page, name: str) -> Locator:
    """What the head of the prompt says of the delegation to a person or group."""
    return page.locator(f'[data-delegation="{name}"]')


def row(page: Page, prompt: prompts.Prompt) -> Locator:
    return page.locator(f'[data-row="{prompt.prompt_id}"]')


async def confirmed(page: Page) -> None:
    """Press the button of the window, once it acts."""
    button = page.locator("[data-command=delegate-confirm]")
    await expect(button).to_have_attribute("aria-disabled", "false")
    await button.click()


async def test_a_prompt_is_given_away_taken_back_and_answered_for_its_holder(team: Inbox) -> None:
    prompt = await ask(team)
    other = await ask(team, "Another?")
    ana = await show(team, "ana", prompt)
    ben = await team.open_with_token("ben")
    await live(ben)
    await settled(ana)
    await ana.locator("[data-command=delegate]").press("Enter")
    window = ana.get_by_role("dialog")
    await expect(window).to_contain_text("Release?")
    await confirmed(ana)
    await expect(window.get_by_role("alert")).to_contain_text("Write a name first")
    await expect(window.get_by_label("Name of the person")).to_be_focused()
    assert await axe(ana) == []

    # What the service refuses is said in its words, and the window stays with what was written.
    team.complaints.allowed.append("400")
    await window.get_by_label("Name of the person").fill("eve")
    await window.get_by_label("Why, for the one who gets it").fill("you know the plan")
    await confirmed(ana)
    await expect(window.get_by_role("alert")).to_contain_text("the directory has no active person 'eve'")
    await window.get_by_label("Name of the person").fill("ben")
    await confirmed(ana)
    await expect(window).to_have_count(0)
    await expect(row(ana, prompt).locator(".ending")).to_have_text("No longer for you")
    await expect(ana.locator(".tombstone")).to_contain_text("You delegated it to ben.")
    toast = ana.locator(".toast")
    await expect(toast).to_contain_text("Release? You delegated it to ben.")
    assert await axe(ana) == []

    await expect(row(ben, prompt)).to_contain_text("On behalf of ana")
    await row(ben, prompt).locator("[data-open]").click()
    await expect(line(ben, "ben")).to_contain_text("You act for ana. ana delegated it to you.")
    await expect(line(ben, "ben")).to_contain_text("“you know the plan”")
    await expect(ben.locator("[data-view=mine] .count")).to_have_text("1")

    # The way back works from another prompt too.
    await row(ana, other).locator("[data-open]").click()
    await toast.get_by_role("button", name="Undo").click()
    await expect(toast).to_have_count(0)
    await expect(row(ana, prompt).locator(".ending")).to_have_count(0)
    await expect(ben.locator(".tombstone")).to_contain_text("not for you any more")

    await row(ana, prompt).locator("[data-open]").click()
    await ana.locator("[data-command=delegate]").click()
    await window.get_by_label("Name of the person").fill("ben")
    await confirmed(ana)
    await expect(toast).to_be_visible()
    await expect(line(ben, "ben")).to_be_visible()
    await settled(ben)
    await ben.locator("[data-decision=DECISION_ACCEPT]").click()
    await expect(ben.locator(".tombstone")).to_contain_text("by you")
    await expect(ben.locator(".tombstone")).to_contain_text("It was given on behalf of ana.")
    await expect(row(ben, prompt)).to_contain_text("by you on behalf of ana")
    answered = (await stored(team, prompt)).resolution.answer
    assert (answered.user_id, answered.on_behalf_of) == ("ben", "ana")
    dev = await show(team, "root", prompt)
    await dev.get_by_text("The job: release").click()
    await expect(dev.locator(".timeline")).to_contain_text("ana delegated it to ben: you know the plan")
    await expect(dev.locator(".timeline")).to_contain_text("Answered by ben on behalf of ana")


async def test_another_is_asked_too_until_it_gives_it_back_or_it_is_taken_back(team: Inbox) -> None:
    prompt = await ask(team, "Release?", "ana", "dev", approval=prompts.Approval(required=2))
    ana = await show(team, "ana", prompt)

    async def ask_too(kind: str, label: str, name: str) -> None:
        await ana.locator("[data-command=delegate]").click()
        window = ana.get_by_role("dialog")
        await window.get_by_label(kind).check()
        await window.get_by_label(label).fill(name)
        await window.get_by_label("Ask also").check()
        await confirmed(ana)
        await expect(window).to_have_count(0)

    await ask_too("A person", "Name of the person", "ben")
    await expect(line(ana, "ben")).to_contain_text("You asked ben too: the answer counts as yours.")
    await expect(ana.locator("#polite")).to_contain_text("You asked ben too.")
    ben = await show(team, "ben", prompt)
    await settled(ben)
    await ben.locator("[data-command=give-back]").click()
    await expect(line(ana, "ben")).to_have_count(0)
    await expect(ben.locator(".tombstone")).to_contain_text("not for you any more")

    await ask_too("A group", "Name of the group", "ops")
    cy = await show(team, "cy", prompt)
    await expect(line(cy, "ops")).to_contain_text("You act for ana. ana asked group ops too.")
    await expect(cy.locator("[data-command=give-back], [data-command=take-back]")).to_have_count(0)
    await team.world.with_token("cy-token").hitl.AnswerPrompt(answer(prompt))
    await expect(ana.locator('[data-vote="cy"]')).to_contain_text("On behalf of ana")
    await settled(ana)
    await ana.locator("[data-command=take-back]").click()
    await expect(line(ana, "ops")).to_have_count(0)
    await expect(ana.locator('[data-vote="cy"]')).to_have_count(0)
    await expect(ana.locator("#prompt-title")).to_be_focused()
    await expect(cy.locator(".tombstone")).to_contain_text("not for you any more")
    assert not (await stored(team, prompt)).delegations

    closed = await ask(
        team, "Yours alone?", delegation=prompts.DelegationPolicy(scope=prompts.DELEGATION_SCOPE_NO_ONE)
    )
    page = await show(team, "ana", closed)
    await settled(page)
    await expect(page.locator("[data-command=delegate]")).to_have_count(0)


async def test_a_person_is_away_and_the_substitute_answers(team: Inbox) -> None:
    prompt = await ask(team)
    context = await team.context("", viewport={"width": 390, "height": 844}, locale="de-DE")
    ana = await team.open_with_token("ana", "/settings", context=context)
    await live(ana)
    ben = await team.open_with_token("ben")
    await live(ben)
    await ana.locator("[data-command=away]").press("Enter")
    window = ana.get_by_role("dialog", name="Wann Sie abwesend sind")
    await window.get_by_role("button", name="Speichern").click()
    await expect(window.get_by_role("alert")).to_contain_text("Wählen Sie, bis wann.")
    await window.get_by_label("Bis").fill("2099-12-04T10:00")
    team.complaints.allowed.append("400")
    await window.get_by_role("button", name="Speichern").click()
    await expect(window.get_by_role("alert")).to_contain_text("must be within 366 days")
    until = await ana.evaluate("new Date(Date.now() + 864e5).toISOString().slice(0, 16)")
    await window.get_by_label("Bis").fill(until)
    await window.get_by_label("Wer vertritt").fill("ben")
    assert await axe(ana) == []
    await window.get_by_role("button", name="Speichern").click()
    await expect(ana.locator("[data-absence=ana]")).to_contain_text("ben vertritt")
    await expect(ana.locator("[data-away]")).to_contain_text("Abwesend bis")
    assert not await ana.evaluate("document.documentElement.scrollWidth > innerWidth")

    await expect(row(ben, prompt)).to_contain_text("On behalf of ana")
    await row(ben, prompt).locator("[data-open]").click()
    await expect(line(ben, "ben")).to_contain_text(
        re.compile("You act for ana. ana is away until .*, and you stand in.")
    )
    await expect(ben.locator("[data-command=give-back]")).to_have_count(0)

    # An admin sees it and ends it.
    root = await team.open_with_token("root", "/people")
    await live(root)
    away = root.locator("[data-absence=ana]")
    await expect(away).to_contain_text("ben stands in")
    await away.get_by_role("button", name="Change…").click()
    assert await axe(root) == []
    await root.get_by_role("dialog", name="When ana is away").get_by_role("button", name="End it now").click()
    await expect(away).to_have_count(0)
    await expect(ben.locator(".tombstone")).to_contain_text("not for you any more")
    await ana.reload()
    await live(ana)
    await expect(ana.locator("[data-command=away]")).to_be_visible()
    await expect(ana.locator("[data-absence], [data-away]")).to_have_count(0)

    # And sets one for another person, which begins later.
    person = root.locator('[data-person="cy"]')
    await person.locator("[data-command=away]").click()
    window = root.get_by_role("dialog", name="When cy is away")
    await window.get_by_label("From").fill(until)
    await window.get_by_label("Until").fill(
        until.replace(until[:4], str(int(until[:4]) + 1)).replace("-02-29", "-02-28")
    )
    await window.get_by_label("Comment").fill("sabbatical")
    await window.get_by_role("button", name="Save").click()
    await expect(person.locator("[data-absence=cy]")).to_contain_text(
        re.compile("Away from .* until .* · no one stands in · sabbatical")
    )
    listed = await team.world.with_token("cy-token").policies.ListAbsences(policy.ListAbsencesRequest())
    assert [(one.subject, one.set_by) for one in listed.absences] == [("cy", "root")]
