"""What a form says: in words for people, in the language and the numbers of the reader."""

import json
from typing import Any

from playwright.async_api import Page, expect

from askback.v1 import prompt_pb2 as prompts
from askback.v1.prompt_pb2 import FieldViolation
from tests.support.browser import Inbox, axe, saved, settled
from tests.support.requests import RESPOND, answer, confirm, form

PATTERN = "^[^@ ]+@[a-z]+[.]example$"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "account": {
            "type": "string",
            "title": "Account",
            "pattern": PATTERN,
            "examples": ["ana@one.example"],
        },
        "share": {"type": "number", "title": "Share", "minimum": 0.1},
        "more": {"title": "Anything else"},
    },
    "required": ["account"],
}


async def show(inbox: Inbox, schema: dict[str, Any] = SCHEMA, **options: Any) -> tuple[Page, prompts.Prompt]:
    """The page with a question that asks for these values."""
    content = confirm("Who pays?", kind="clarify", schema_json=json.dumps(schema))
    prompt = await inbox.world.create_prompt(content)
    # All of it is on the screen: nothing is asked before an answer is sent.
    page = await inbox.open(
        path=f"/prompts/{prompt.prompt_id}", viewport={"width": 1280, "height": 1400}, **options
    )
    await settled(page)
    return page, prompt


async def test_a_pattern_is_behind_a_disclosure_and_its_words_are_for_people(inbox: Inbox) -> None:
    page, _ = await show(inbox)
    field = page.get_by_role("textbox", name="Account")
    await expect(field).to_have_accessible_description("such as ana@one.example")
    await expect(page.get_by_text(PATTERN)).to_be_hidden()
    await page.get_by_text("The form as a pattern").click()
    await expect(page.get_by_text(PATTERN)).to_be_visible()
    await field.fill("Ana")
    await page.get_by_role("button", name="Answer").click()
    said = "does not have the required form, such as ana@one.example"
    await expect(page.locator(".form-problem")).to_contain_text(said)
    await expect(page.locator(".answer-status li")).to_have_text(f"Account: {said}")
    await expect(page.locator(".answer-status")).not_to_contain_text("@ ]")
    assert await axe(page) == []
    await field.fill("ana@one.example")
    await page.get_by_role("button", name="Answer").click()
    await expect(page.locator(".tombstone-title")).to_contain_text("“Answer” by you")


async def test_german_limits_have_a_comma_and_a_doubled_name_is_named(inbox: Inbox) -> None:
    page, _ = await show(inbox, locale="de-DE")
    share = page.get_by_role("textbox", name="Share")
    await expect(share).to_have_accessible_description("eine Zahl; mindestens 0,1")
    await share.fill("0,01")
    await share.blur()
    await expect(page.locator(".form-problem")).to_contain_text("muss mindestens 0,1 sein")
    await share.fill("")
    more = page.get_by_role("textbox", name="Anything else")
    await more.fill('{"a": 1,\n "a": 2}')
    await more.blur()
    await expect(page.locator(".form-problem")).to_contain_text(
        "hat den Namen „a“ zweimal in einem Objekt (Zeile 2, Spalte 2)"
    )
    # Half a surrogate pair is refused at its field, and nothing throws.
    await more.fill('"\\ud800"')
    await expect(page.locator(".form-problem")).to_contain_text("enthält ein Zeichen")
    assert await axe(page) == []


async def test_json_with_a_doubled_name_is_shown_as_text_that_says_which(inbox: Inbox) -> None:
    part = prompts.PromptPart(
        content_id="it", media_type="application/json", text='{"amount": 1, "amount": 2}'
    )
    prompt = await inbox.world.create_prompt(confirm("Go?", contents=[part]))
    page = await inbox.open(path=f"/prompts/{prompt.prompt_id}")
    await expect(page.locator(".part .note")).to_have_text(
        "Shown as text: the name “amount” is there twice in one object (line 1, column 15)."
    )
    await expect(page.locator(".part")).to_contain_text('{"amount": 1, "amount": 2}')


async def test_a_draft_of_an_older_question_is_offered_by_titles_and_values(inbox: Inbox) -> None:
    lease = await inbox.world.lease_new_job()
    schema = SCHEMA | {
        "properties": SCHEMA["properties"] | {"gone": {"type": "string", "title": "Old field"}}
    }
    fields = {"kind": "clarify", "schema_json": json.dumps(schema)}
    prompt = await inbox.world.ask(lease, "pay", confirm("Who pays?", **fields))
    page = await inbox.open(path=f"/prompts/{prompt.prompt_id}")
    await settled(page)
    await page.get_by_role("textbox", name="Account").fill("ana@one.example")
    await page.get_by_role("textbox", name="Old field").fill("still needed")
    await page.locator("#comment").fill("my comment")
    await saved(page, "my comment")
    await inbox.world.ask(lease, "pay", confirm("Who pays?", kind="clarify", schema_json=json.dumps(SCHEMA)))
    await page.reload()
    offered = page.locator("[data-draft]")
    await expect(offered).to_contain_text("my comment")
    await expect(offered.locator("dl > div", has_text="Account")).to_contain_text("ana@one.example")
    # What has no place in the new form is there too.
    await expect(offered).to_contain_text("still needed")
    assert "{" not in await offered.inner_text()
    assert await axe(page) == []
    await page.get_by_role("button", name="Use this text").click()
    await expect(page.get_by_role("textbox", name="Account")).to_have_value("ana@one.example")


async def test_a_question_that_is_asked_again_says_so_and_why_at_its_fields(inbox: Inbox) -> None:
    world = inbox.world
    lease = await world.lease_new_job()
    wrong = FieldViolation(field="values_json/n", description="is more than we have")
    again = form("How many?", correction=prompts.Correction(key="many", violations=[wrong]))
    again.questions.questions[1].text.default_value = "It is Monday"
    prompt = await world.ask(lease, "many#2", again)
    # The text alone is no mark.
    await world.ask(lease, "other#2", confirm("Other?", body="> **The answer was not accepted:**"))
    for locale, words, suggested in (
        ("de-DE", "Erneut gefragt: Antwort nicht angenommen", "(wie in der Antwort davor)"),
        ("en-GB", "Asked again: answer not accepted", "(as in the answer before)"),
    ):
        page = await inbox.open(
            path=f"/prompts/{prompt.prompt_id}", viewport={"width": 1280, "height": 1400}, locale=locale
        )
        await expect(page.locator(".facts-line .mark")).to_have_text(words)
        await expect(page.locator(".row .mark")).to_have_text([words])
        field = page.locator(".form-field", has=page.get_by_role("textbox", name="How many?"))
        await expect(field.locator(".form-problem")).to_have_text("! is more than we have")
        await expect(page.locator(".form-default")).to_have_text(suggested)
        # It is read before anything is typed: the focus stays where letters act.
        await expect(page.locator("#prompt-title")).to_be_focused()
        assert await axe(page) == []
    await settled(page)
    await page.get_by_role("textbox", name="How many?").fill("3")
    await expect(field.locator(".form-problem")).to_have_count(0)
    await page.get_by_role("button", name="Answer").click()
    await expect(page.locator(".tombstone-title")).to_contain_text("“Answer” by you")


async def test_answers_and_unsent_text_are_shown_by_the_titles_of_the_form(inbox: Inbox) -> None:
    world = inbox.world
    page, prompt = await show(inbox)
    await page.get_by_role("textbox", name="Account").fill("cora@one.example")
    values = json.dumps({"account": "ana@one.example", "share": 0.5})
    await world.as_user("ben").hitl.AnswerPrompt(answer(prompt, decision=RESPOND, values_json=values))
    await expect(page.locator("[data-kept-text]")).to_have_value("Account: cora@one.example")
    await page.goto(f"{inbox.origin}/jobs/{prompt.job_id}")
    question = page.locator(".rounds li")
    await expect(question.locator("dl > div", has_text="Account")).to_contain_text("ana@one.example")
    await expect(question.locator("dl > div", has_text="Share")).to_contain_text("0.5")
    assert "{" not in await question.inner_text()
    assert await axe(page) == []
