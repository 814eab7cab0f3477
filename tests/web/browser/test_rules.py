"""Rules in the page: "Always so", the list of rules, a second person, and what a rule did."""

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest_asyncio
from playwright.async_api import Locator, Page, Route, expect

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import policy_service_pb2 as policy
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import rule_pb2 as rules
from tests.support.browser import Inbox, axe, live, settled
from tests.support.requests import ACCEPT, REJECT, answer
from tests.support.rule_requests import create, example, tool
from tests.support.token_files import TokenFile
from tests.support.waiting import until

PEOPLE: dict[str, dict[str, Any]] = {
    "pia": {"roles": ["console", "client", "policy"], "groups": ["ops"]},
    "ana": {"groups": ["ops"]},
    "ben": {"groups": ["risk"]},
    "dev": {"roles": ["client"]},
}


@pytest_asyncio.fixture(loop_scope="session")
async def team(
    open_inbox: Callable[..., AbstractAsyncContextManager[Inbox]], tmp_path: Path
) -> AsyncIterator[Inbox]:
    """An inbox of `PEOPLE`, who are in the directory."""
    async with open_inbox(TokenFile(tmp_path / "tokens.toml", **PEOPLE)) as opened:
        await opened.world.service.replica.directory.write()
        yield opened


async def ask(inbox: Inbox, name: str = "ls", **fields: Any) -> prompts.Prompt:
    """A question of `dev` about a tool."""
    fields.setdefault("title", f"Run {name}?")
    request = jobs.CreateJobRequest(job_type="agent", prompt=tool(name, **fields))
    made: prompts.Prompt = (await inbox.world.with_token("dev-token").jobs.CreateJob(request)).prompt
    return made


async def decide(inbox: Inbox, user: str, prompt: prompts.Prompt, decision: Any = ACCEPT) -> None:
    caller = inbox.world.with_token(f"{user}-token")
    await caller.hitl.AnswerPrompt(answer(prompt, f"{user} {prompt.prompt_id}", decision))


async def stored(inbox: Inbox, prompt: prompts.Prompt) -> prompts.Prompt:
    """The prompt as it is now."""
    request = hitl.GetPromptRequest(prompt_id=prompt.prompt_id)
    return (await inbox.world.with_token("dev-token").hitl.GetPrompt(request)).prompt


async def listed(inbox: Inbox) -> list[rules.Rule]:
    """All rules, deleted ones too."""
    request = policy.ListRulesRequest(include_deleted=True)
    return list((await inbox.world.with_token("pia-token").policies.ListRules(request)).rules)


async def make(inbox: Inbox, **fields: Any) -> rules.Rule:
    """A rule of pia."""
    return (await inbox.world.with_token("pia-token").policies.CreateRule(create(**fields))).rule


async def show(inbox: Inbox, user: str, path: str, **options: Any) -> Page:
    context = await inbox.context("", **options)
    page = await inbox.open_with_token(user, path, context=context)
    await live(page)
    return page


async def pressed(page: Page, command: str, within: str = "dialog") -> None:
    """Press a button of a window, or of another part of the page, once it acts."""
    button = page.locator(f"{within} [data-command={command}]")
    await expect(button).not_to_have_attribute("aria-disabled", "true")
    await button.press("Enter")


def names_of(page: Page) -> Locator:
    return page.locator("[data-rule-row]")


async def test_always_so_makes_one_rule_that_answers_until_it_is_undone(team: Inbox) -> None:
    past, open_one, prompt = await ask(team), await ask(team), await ask(team)
    await decide(team, "ana", past, REJECT)
    pia = await show(team, "pia", f"/prompts/{prompt.prompt_id}")
    await settled(pia)
    await pia.locator("[data-decision=DECISION_ACCEPT]").click()
    await pressed(pia, "always", ".tombstone")
    window = pia.get_by_role("dialog", name="Always so for such questions")
    await expect(window).to_contain_text("Answers “Confirm”")
    await expect(window).to_contain_text('metadata["tool"] == "ls" && metadata.size() == 1')
    await expect(window).to_contain_text("1 past question that it covers was decided so, by pia.")
    await expect(window).to_contain_text("1 question that it covers was decided otherwise.")
    await expect(window).to_contain_text("1 open question matches too. The rule does not answer it.")
    await expect(window).to_contain_text(re.compile(r"in your name \(pia\), without asking, until \d"))
    assert await axe(pia) == []

    # What is missing or too wide is said before anything is sent, at its field.
    alert = window.get_by_role("alert")
    await pressed(pia, "rule-create")
    await expect(alert).to_contain_text("Write why")
    await expect(window.get_by_label("Why")).to_be_focused()
    await window.get_by_label("Why").fill("it only reads")
    await window.get_by_label("Until").fill("2099-01-01T10:00")
    await pressed(pia, "rule-create")
    await expect(alert).to_contain_text("within 30 days")
    soon = await pia.evaluate("new Date(Date.now() + 2 * 864e5).toISOString().slice(0, 16)")
    await window.get_by_label("Until").fill(soon)
    await window.get_by_label("At most how often").fill("1.5")
    await pressed(pia, "rule-create")
    await expect(alert).to_contain_text("Write a number")
    await window.get_by_label("At most how often").fill("5")
    team.complaints.allowed.append("400")
    await window.get_by_label("Except when").fill("promt.priority > 5")
    await pressed(pia, "rule-create")
    await expect(alert).to_contain_text("No rule was created.")
    await expect(alert.locator("li")).to_contain_text(re.compile("^unless .*promt"))
    await window.get_by_label("Except when").fill("prompt.priority > 5")

    await pressed(pia, "rule-preview")
    preview = window.get_by_role("region", name="Preview")
    await expect(preview).to_contain_text("People rejected 1 question that it would have accepted.")
    cells = preview.locator("[data-would=RULE_VERDICT_ANSWER] td")
    await expect(cells).to_have_text(["1", "1", "1"])
    await expect(preview.locator(f'[data-sample="{past.prompt_id}"]')).to_contain_text("rejected by ana")
    assert await axe(pia) == []
    await window.get_by_label("Except when").fill("prompt.priority > 50")
    await expect(preview).to_have_count(0)  # it was of another rule
    await window.get_by_label("Except when").fill("prompt.priority > 5")

    # A reply that is lost: pressed again, it is the same rule.
    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort()

    team.complaints.allowed.append("ERR_FAILED")
    await pia.route("**/*PolicyService/CreateRule", lose, times=1)
    await pressed(pia, "rule-create")
    await expect(alert).to_contain_text("No rule was created.")
    await pressed(pia, "rule-create")
    await expect(window).to_contain_text(re.compile("The rule .* is active until"))
    [rule] = await listed(team)
    spec = rule.spec
    assert (rule.author, spec.reason, spec.unless, spec.max_uses) == (
        "pia",
        "it only reads",
        "prompt.priority > 5",
        5,
    )
    local = datetime.fromisoformat(soon).replace(tzinfo=ZoneInfo("Europe/Berlin"))  # as the browser has it
    assert spec.expire_time.ToDatetime(UTC) == local
    assert await axe(pia) == []

    ruled = await ask(team)
    done = (await stored(team, ruled)).resolution.answer
    assert (done.source, done.user_id, done.rule_id) == (prompts.ANSWER_SOURCE_RULE, "pia", rule.rule_id)
    assert not (await stored(team, open_one)).HasField("resolution")

    await pressed(pia, "rule-undo")
    await expect(window).to_contain_text("is deleted. What it has answered stays.")
    await pia.keyboard.press("Escape")
    await expect(window).to_have_count(0)
    assert [each.state for each in await listed(team)] == [rules.RULE_STATE_DELETED]
    assert not (await stored(team, await ask(team))).HasField("resolution")

    # Others see that a rule did it, and are not offered one.
    ana = await show(team, "ana", f"/prompts/{ruled.prompt_id}?view=closed")
    closed = ana.locator(".tombstone")
    await expect(closed).to_contain_text(
        re.compile(rf"“Confirm” by a rule of pia \(rule {rule.rule_id}, revision 1\)")
    )
    row = ana.locator(f'[data-row="{ruled.prompt_id}"]')
    await expect(row).to_contain_text("“Confirm” by a rule (pia)")
    await expect(ana.locator("[data-command=always], nav a[href='/rules']")).to_have_count(0)
    await ana.goto(f"{team.origin}/rules")
    await expect(ana.get_by_text("It needs the role policy")).to_be_visible()

    # For its author: by the name, with a link to what it said.
    await pia.goto(f"{team.origin}/prompts/{ruled.prompt_id}")
    await expect(pia.locator(".tombstone")).to_contain_text(f"by your rule (rule {spec.name}, revision 1)")
    await expect(pia.locator("[data-command=always]")).to_have_count(0)
    await pia.locator(".tombstone").get_by_role("link", name=spec.name).click()
    await expect(pia.locator("[data-state=RULE_STATE_DELETED]")).to_have_text("Deleted")
    await expect(pia.locator("[data-command=rule-switch]")).to_have_count(0)

    # The browser's way back leaves the question, and with it the window; the page takes presses again.
    await pia.goto(f"{team.origin}/?view=closed")
    await pia.locator(f'[data-row="{prompt.prompt_id}"] [data-open]').click()
    await pressed(pia, "always", ".tombstone")
    await expect(window).to_be_visible()
    await pia.go_back()
    await expect(window).to_have_count(0)
    await pia.get_by_role("link", name="Settings").click()
    await expect(pia).to_have_url(re.compile("/settings"))


async def test_rules_are_listed_switched_edited_and_deleted(team: Inbox) -> None:
    for _ in range(5):
        await decide(team, "ana", await ask(team, "cat", title="Run cat?"))
    rule = await make(team, max_uses=10, matching=[example(job_type="agent")])
    page = await show(team, "pia", "/rules")
    await expect(names_of(page)).to_contain_text(
        re.compile(
            "ls.*Active.*Answers “Approve”.*Confirmation · metadata.tool == 'ls'.*by pia.*0 of 10 uses",
            re.DOTALL,
        )
    )
    wide = "document.documentElement.scrollWidth > innerWidth"
    for width in (320, 390, 520, 800, 920, 1024, 1100, 1200):
        await page.set_viewport_size({"width": width, "height": 800})
        assert not await page.evaluate(wide), width
    row = await names_of(page).first.bounding_box()
    assert row is not None
    assert row["width"] > 0.8 * 1200  # the list has the page for itself

    # A draft of what people decided alike is adopted in the same window.
    await page.locator("[data-command=suggest]").press("Enter")
    draft = page.locator("[data-suggestion]")
    await expect(draft).to_contain_text("5 past questions that it covers were decided so, by ana.")
    assert await axe(page) == []
    await draft.get_by_role("button", name="Make a rule").press("Enter")
    window = page.get_by_role("dialog")
    await window.get_by_label("Name").fill("cat")
    await window.get_by_label("Why").fill("it only reads")
    await pressed(page, "rule-create")
    await expect(window).to_contain_text("The rule cat is active until")
    await pressed(page, "rule-done")
    await expect(names_of(page)).to_have_count(2)

    await names_of(page).first.get_by_role("link", name="ls").click()
    await expect(page).to_have_url(re.compile(f"/rules/{rule.rule_id}$"))
    await page.get_by_text("Questions that it must match (1)").click()
    await expect(page.get_by_role("article")).to_contain_text('{"tool":"ls"}')
    switch = page.locator("[data-command=rule-switch]")
    await switch.press("Enter")
    await expect(page.locator("[data-state]")).to_have_text("Off")
    assert not (await stored(team, await ask(team))).HasField("resolution")
    await expect(page.get_by_text("it answers in your name then")).to_be_visible()
    await switch.press("Enter")
    await expect(page.locator("[data-state]")).to_have_text("Active")
    await page.locator("[data-command=rule-preview]").click()
    await expect(page.get_by_role("region", name="Preview")).to_contain_text("does not match")
    assert await axe(page) == []

    # As text: what is no JSON, and each problem that the service finds, at the field.
    await page.locator("[data-command=rule-edit]").press("Enter")
    text = window.get_by_label("The rule as JSON")
    spec = json.loads(await text.input_value())
    assert spec["match"]["expression"] == "metadata.tool == 'ls'"
    await text.fill("{")
    await pressed(page, "rule-save")
    await expect(window.get_by_role("alert")).to_contain_text("This is no JSON object")
    await expect(text).to_be_focused()
    team.complaints.allowed.append("400")
    await text.fill(json.dumps(spec | {"name": "", "unless": "1"}))
    await pressed(page, "rule-save")
    await expect(window.get_by_role("alert").locator("li")).to_have_text([re.compile("^name ")])
    assert await axe(page) == []
    # Another person is faster.
    change = policy.UpdateRuleRequest(rule_id=rule.rule_id, spec=rule.spec)
    change.spec.name = "of another"
    await team.world.with_token("pia-token").policies.UpdateRule(change)
    team.complaints.allowed.append("409")
    await text.fill(json.dumps(spec | {"name": "list files"}))
    await pressed(page, "rule-save")
    await expect(window.get_by_role("alert")).to_contain_text("Another person has changed the rule since.")
    await page.keyboard.press("Escape")
    await page.reload()
    await expect(page.get_by_role("heading", name="of another")).to_be_visible()
    await page.locator("[data-command=rule-edit]").press("Enter")
    await expect(text).to_be_visible()
    await text.fill((await text.input_value()).replace("of another", "list files"))
    await pressed(page, "rule-save")
    await expect(page.get_by_role("heading", name="list files")).to_be_visible()

    await page.locator("[data-command=rule-delete]").press("Enter")
    assert await axe(page) == []
    await pressed(page, "rule-delete-confirm")
    await expect(page.locator("[data-state]")).to_have_text("Deleted")
    await expect(page.locator("#rule-title")).to_be_focused()
    await page.get_by_role("article").get_by_role("link", name="Rules").click()
    await expect(names_of(page)).to_have_count(1)
    await page.get_by_label("Also deleted rules").check()
    await expect(names_of(page)).to_have_count(2)
    assert sorted(each.state for each in await listed(team)) == [
        rules.RULE_STATE_ACTIVE,
        rules.RULE_STATE_DELETED,
    ]


async def test_a_second_person_accepts_a_rule(
    open_inbox: Callable[..., AbstractAsyncContextManager[Inbox]], tmp_path: Path
) -> None:
    people = TokenFile(tmp_path / "tokens.toml", **PEOPLE)
    async with open_inbox(people, rules_need_approval="default=risk") as team:
        await team.world.service.replica.directory.write()
        prompt = await ask(team)
        await decide(team, "pia", prompt)
        phone = {"width": 360, "height": 740}
        page = await show(team, "pia", f"/prompts/{prompt.prompt_id}", locale="de-DE", viewport=phone)
        await pressed(page, "always", ".tombstone")
        window = page.get_by_role("dialog", name="Immer so bei solchen Fragen")
        await window.get_by_label("Warum").fill("liest nur")
        assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth")
        await pressed(page, "rule-create")
        await expect(window).to_contain_text("Erst muss eine zweite Person sie annehmen.")
        assert await axe(page) == []
        await window.get_by_role("link", name="Der Auftrag, der danach fragt").click()
        await expect(window).to_have_count(0)
        await expect(page).to_have_url(re.compile("/jobs/"))

        [rule] = await listed(team)
        assert rule.state == rules.RULE_STATE_PROPOSED
        await page.goto(f"{team.origin}/rules/{rule.rule_id}")
        await expect(page.get_by_role("article")).to_contain_text("Revision 1 wartet auf eine zweite Person")
        assert await axe(page) == []
        ben = await show(team, "ben", "/")
        await ben.get_by_text("Activate the rule").click()
        await settled(ben)
        await expect(ben.locator("#prompt-title")).to_be_visible()
        await ben.locator("[data-decision=DECISION_ACCEPT]").press("Enter")
        await expect(ben.locator(".tombstone")).to_contain_text("by you")
        await ben.close()

        async def active() -> bool:
            return (await listed(team))[0].state == rules.RULE_STATE_ACTIVE

        await until(active, "the rule is active")
        await page.reload()
        await expect(page.locator("[data-state]")).to_have_text("Gilt")
        await expect(page.get_by_role("article")).to_contain_text(
            re.compile("Angenommen von.*ben", re.DOTALL)
        )


async def test_votes_routes_and_hindrances_of_rules_are_shown(team: Inbox) -> None:
    rule = await make(team)
    router = await make(
        team,
        name="urgent",
        answer=None,
        route=rules.RuleRoute(priority=7),
        match=rules.RuleMatch(labels={"env": "prod"}),
        matching=[rules.RuleExample(content=tool(labels={"env": "prod"}))],
    )
    filled = await ask(team, approval=prompts.Approval(required=2, rules_may_fill=1))
    page = await show(team, "ana", f"/prompts/{filled.prompt_id}")
    await expect(page.locator("[data-approval]")).to_contain_text(
        "1 of 2 approvals · 1 of them may be a rule’s"
    )
    await expect(page.locator(".facts")).not_to_contain_text("Rules changed")
    await expect(page.locator("[data-vote=pia]")).to_contain_text(f"by its rule {rule.rule_id}, revision 1")
    await settled(page)
    await page.locator("[data-decision=DECISION_ACCEPT]").click()
    await expect(page.locator(".tombstone")).to_contain_text("by votes, the last of")

    hindered = await ask(team, approval=prompts.Approval(required=2), labels={"env": "prod"})
    pia = await show(team, "pia", f"/prompts/{hindered.prompt_id}")
    await expect(pia.locator(".facts")).to_contain_text("Priority 7")
    await expect(pia.locator(".facts")).to_contain_text("Rules changed who is asked, how urgently")
    await pia.get_by_text("The job: agent").click()
    log = pia.locator(".timeline")
    await expect(log).to_contain_text("Rules match, and people decide: rule ls, revision 1")
    await expect(log).to_contain_text("routed by rule urgent, revision 1")
    await expect(log).to_contain_text("did not answer: rule ls, revision 1, several people must approve")
    assert await axe(pia) == []
    await log.get_by_role("link", name="urgent").first.click()
    await expect(pia).to_have_url(re.compile(f"/rules/{router.rule_id}$"))
    await expect(pia.get_by_role("article")).to_contain_text("The priority is 7 at least")

    answered = await ask(team)
    await pia.goto(f"{team.origin}/jobs/{answered.job_id}")
    await expect(pia.get_by_role("article")).to_contain_text(
        "“Confirm” by a rule of pia (rule ls, revision 1)"
    )
    await expect(pia.locator(".timeline")).to_contain_text("Rules gave an answer: rule ls, revision 1")
    await expect(pia.locator(".timeline")).to_contain_text("Answered by a rule of pia")
