"""Approval by several people in the page: votes, exclusions, and the override by an admin."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Locator, Page, Route, expect

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, axe, live, settled
from tests.support.requests import ACCEPT, EDIT, answer, audience, confirm
from tests.support.token_files import TokenFile

PENDING, ANSWERED = prompts.PROMPT_STATE_PENDING, prompts.PROMPT_STATE_ANSWERED
NEW_PLAN = [prompts.Edit(content_id="plan", text="deploy on Monday\n")]
BOTH = ["default", "strict"]
PEOPLE: dict[str, dict[str, Any]] = {
    "root": {"roles": ["admin"], "namespaces": BOTH},
    "dev": {"roles": ["console", "client"], "groups": ["dev"], "namespaces": BOTH},
    "ana": {"groups": ["dev"]},
    "ben": {"groups": ["dev"]},
    "cy": {"groups": ["dev", "release"]},
}


@pytest_asyncio.fixture(loop_scope="session")
async def team(
    open_inbox: Callable[..., AbstractAsyncContextManager[Inbox]], tmp_path: Path
) -> AsyncIterator[Inbox]:
    """An inbox of `PEOPLE`, who are in the directory. Admins may override in the namespace default."""
    people = TokenFile(tmp_path / "tokens.toml", **PEOPLE)
    async with open_inbox(people, allow_override="default") as opened:
        await opened.world.service.replica.directory.write()
        yield opened


async def ask(inbox: Inbox, title: str, *, namespace: str = "", **fields: Any) -> prompts.Prompt:
    """A prompt of `dev` with a plan that may be edited."""
    plan = prompts.PromptPart(content_id="plan", title="Plan", text="deploy on Friday\n", editable=True)
    content = confirm(title, kind="preview", contents=[plan], **fields)
    request = jobs.CreateJobRequest(namespace=namespace, job_type="release", prompt=content)
    made: prompts.Prompt = (await inbox.world.with_token("dev-token").jobs.CreateJob(request)).prompt
    return made


def approved(required: int = 2, **groups: int) -> prompts.Approval:
    """An approval by a number of people in all, and of each group."""
    needed = [prompts.GroupApproval(group=name, required=n) for name, n in groups.items()]
    return prompts.Approval(required=required, per_group=needed)


async def vote(inbox: Inbox, user: str, prompt: prompts.Prompt, decision: Any = ACCEPT, **fields: Any) -> Any:
    """Answer as another person, with another program."""
    fields.setdefault("answer_id", f"{user}-{decision}")
    caller = inbox.world.with_token(f"{user}-token")
    return (await caller.hitl.AnswerPrompt(answer(prompt, decision=decision, **fields))).result


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


def votes_of(page: Page, user: str) -> Locator:
    """The vote of a person in the list of votes."""
    return page.locator(f'[data-vote="{user}"]')


def decision(page: Page, name: str) -> Locator:
    """The button of a decision."""
    return page.locator(f"[data-decision=DECISION_{name}]")


async def test_a_vote_leaves_the_prompt_open_until_enough_agree(team: Inbox) -> None:
    prompt = await ask(team, "Release?", approval=approved(2, release=1), audience=audience(groups=["dev"]))
    page = await show(team, "ana", prompt)
    progress, status = page.locator("[data-approval]"), page.locator("#answer-why")
    await expect(progress).to_contain_text("0 of 2 approvals · needs 1 of release")
    await settled(page)
    await page.locator("#comment").fill("fine with me")
    await page.locator("#prompt-title").focus()
    await page.keyboard.press("a")
    await expect(status).to_contain_text(
        "you voted “Approve”. 1 more person must vote for it (needs 1 of release)"
    )
    await expect(page.locator(f'[data-row="{prompt.prompt_id}"]')).to_contain_text("You voted")
    await expect(votes_of(page, "ana")).to_contain_text("fine with me")
    await expect(page.locator("#comment")).to_have_value("")
    await settled(page)  # It is still open, and another answer is possible.

    await vote(team, "ben", prompt, EDIT, edits=NEW_PLAN, comment="not before the weekend")
    await expect(votes_of(page, "ben")).to_contain_text("not before the weekend")
    await expect(progress).to_contain_text(
        "1 of 2 approvals · needs 1 of release · the votes are for 2 different"
    )
    await expect(page.locator("#polite")).to_contain_text("ben voted")
    await page.locator("[data-command=votes]").click()
    proposal = page.locator("[data-outcome=DECISION_EDIT]")
    await expect(proposal.locator(".diff")).to_contain_text("Monday")
    assert await axe(page) == []
    await settled(page)
    await proposal.get_by_role("button", name="Vote for this proposal").click()
    await expect(proposal.locator('[data-vote="ana"]')).to_contain_text("your vote")
    await expect(page.locator("[data-outcome=DECISION_ACCEPT]")).to_contain_text("no votes yet")
    await expect(progress).to_contain_text("2 approvals · needs 1 of release")

    # After a reload the page still knows, and the draft of what was sent is gone.
    await page.reload()
    await expect(status).to_contain_text("you voted “Accept with changes”")
    await vote(team, "cy", prompt, EDIT, edits=NEW_PLAN)
    await expect(page.locator(".tombstone-title")).to_contain_text("by votes, the last of cy")
    await expect(page.locator(".outcome.is-decided [data-vote]")).to_have_count(3)
    resolution = (await stored(team, prompt)).resolution
    assert list(resolution.answer.edits) == NEW_PLAN


async def test_a_vote_is_withdrawn_in_the_page(team: Inbox) -> None:
    prompt = await ask(team, "Release?", approval=approved(2))
    page = await show(team, "ana", prompt)
    await settled(page)
    await decision(page, "ACCEPT").click()
    await expect(votes_of(page, "ana")).to_be_visible()
    await settled(page)
    await votes_of(page, "ana").get_by_role("button", name="Withdraw my vote").click()
    await expect(votes_of(page, "ana")).to_have_count(0)
    await expect(page.locator("[data-approval]")).to_contain_text("0 of 2 approvals")
    await expect(page.locator("#answer-why")).not_to_contain_text("Recorded")
    await expect(page.locator("#prompt-title")).to_be_focused()
    await settled(page)
    await page.keyboard.press("e")
    await page.locator(".part-edit textarea").fill("deploy on Monday\n")
    await settled(page)
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#answer-why")).to_contain_text("again to decide all the same")
    await settled(page)
    await page.keyboard.press("Control+Enter")
    await expect(votes_of(page, "ana")).to_be_visible()
    assert (await stored(team, prompt)).state == PENDING
    await vote(team, "ben", prompt, EDIT, edits=NEW_PLAN)
    await expect(page.locator(".tombstone-title")).to_contain_text("by votes, the last of ben")
    await expect(page.get_by_text("Your text was not sent")).to_have_count(0)


async def test_a_person_of_no_needed_group_can_only_say_no(team: Inbox) -> None:
    prompt = await ask(team, "Release?", approval=approved(0, release=2))
    page = await show(team, "ana", prompt)
    await settled(page)
    await expect(page.get_by_text("The directory knows 1 of 2 needed members of release.")).to_be_visible()
    await expect(page.locator("#answer-why")).to_contain_text("Only members of release can approve")
    await expect(decision(page, "ACCEPT")).to_have_attribute("aria-disabled", "true")
    await page.locator("#prompt-title").focus()
    await page.keyboard.press("a")
    await page.keyboard.press("r")  # A later key acts, so the one before was taken and ignored.
    await expect(page.locator("#comment")).to_be_focused()
    await page.keyboard.type("the tests fail")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".tombstone-title")).to_contain_text("“Reject” by you")
    assert (await stored(team, prompt)).submissions == 1


async def test_an_excluded_person_has_nothing_to_answer_with(team: Inbox) -> None:
    own = await ask(team, "My release?", exclude=prompts.Exclusion(requester=True))
    page = await show(team, "dev", own)
    await expect(page.locator("#answer-why")).to_contain_text("because it was asked for you")
    await expect(page.locator("[data-decision], #comment, .part button")).to_have_count(0)
    await expect(page.locator("[data-command=claim]")).to_have_attribute("aria-disabled", "true")
    await page.locator("#prompt-title").focus()
    await page.keyboard.press("a")
    assert await axe(page) == []

    # Of groups that the page does not know, the service tells it.
    prompt = await ask(team, "Release?", exclude=prompts.Exclusion(groups=["dev"]))

    async def forget_groups(handled: Route) -> None:
        session = await (await handled.fetch()).json()
        await handled.fulfill(json={**session, "groups": []})

    team.complaints.allowed.append("403")
    context = await team.context("")
    await context.route("**/session", forget_groups)
    unaware = await team.open_with_token("ana", f"/prompts/{prompt.prompt_id}", context=context)
    await settled(unaware)
    await decision(unaware, "ACCEPT").click()
    await expect(unaware.locator("#answer-why")).to_contain_text("You may not answer this question")
    await expect(unaware.locator("[data-decision], #comment")).to_have_count(0)
    aware = await show(team, "ana", prompt)
    await expect(aware.locator("#answer-why")).to_contain_text("excludes members of dev")
    for one in (own, prompt):
        assert (await stored(team, one)).submissions == 0


async def test_an_admin_overrides_with_a_reason_and_all_see_it(team: Inbox) -> None:
    prompt = await ask(team, "Release?", approval=approved(2, release=1), audience=audience(groups=["dev"]))
    ana = await show(team, "ana", prompt)
    await expect(ana.locator("[data-command=override]")).to_have_count(0)
    await vote(team, "ana", prompt)
    root = await show(team, "root", prompt)
    await expect(root.locator("#answer-why")).to_contain_text("Only group dev may answer")
    await root.locator("[data-command=override]").press("Enter")
    window, confirm_it = root.get_by_role("dialog"), root.locator("[data-command=override-confirm]")
    await window.get_by_label("Approve", exact=True).check()
    await expect(confirm_it).to_have_text("Override: Approve")
    await expect(confirm_it).to_have_attribute("aria-disabled", "false")
    await confirm_it.click()
    await expect(window.get_by_role("alert")).to_contain_text("Write why")
    assert await axe(root) == []
    await window.get_by_label("Why the rules are overridden").fill("the site is down")
    await confirm_it.click()
    for page in (root, ana):
        await expect(page.locator(".tombstone")).to_contain_text("Overridden by root: “Approve”")
        await expect(page.locator(".tombstone")).to_contain_text("the site is down")
        await expect(page.get_by_text("These votes did not decide")).to_be_visible()
        await expect(page.locator(".outcome.is-decided")).to_have_count(0)
    answered = (await stored(team, prompt)).resolution.answer
    assert (answered.source, answered.user_id) == (prompts.ANSWER_SOURCE_OVERRIDE, "root")

    team.complaints.allowed.append("403")
    strict = await ask(team, "Strict?", namespace="strict", approval=approved(2))
    root = await show(team, "root", strict)
    await settled(root)
    await decision(root, "ACCEPT").click()
    # The page's view has another namespace, so the prompt gets no news: the page reads it again.
    await expect(root.locator("#answer-why")).to_contain_text("you voted “Approve”")
    await root.locator("[data-command=override]").click()
    await root.get_by_label("Reject").check()
    await root.get_by_label("Why the rules are overridden").fill("no")
    confirm_it = root.locator("[data-command=override-confirm]")
    await expect(confirm_it).to_have_attribute("aria-disabled", "false")
    await confirm_it.click()
    await expect(root.get_by_role("dialog").get_by_role("alert")).to_contain_text("overrides are refused")
    assert (await stored(team, strict)).state == PENDING
