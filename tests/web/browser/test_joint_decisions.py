"""Similar questions in the list, and one decision for several of them."""

import json
from typing import Any

from playwright.async_api import Page, Route, WebSocketRoute, expect

from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, axe
from tests.support.requests import confirm
from tests.support.streams import ABSENT_ID

SIMILAR = ".similar button"


async def titles(page: Page) -> list[str]:
    """The titles of the rows, in order."""
    return [text.strip() for text in await page.locator(".row-words").all_text_contents()]


async def chosen(page: Page) -> list[str]:
    """The titles of the chosen rows, in order."""
    texts = await page.locator(".row:has([data-choose]:checked) .row-words").all_text_contents()
    return [text.strip() for text in texts]


async def test_similar_questions_stand_together_and_only_the_displayed_ones_are_chosen(
    inbox: Inbox,
) -> None:
    world = inbox.world
    for n, priority in ((1, 0), (2, 9), (3, 0)):
        await world.create_prompt(confirm(f"Refund {n}", group_key="refunds", priority=priority))
    await world.create_prompt(confirm("Deploy", priority=5))
    await world.create_prompt(confirm("Alone", group_key="alone", priority=-1))
    page = await inbox.open()
    await expect(page.locator(".row-words")).to_have_count(5)
    assert await titles(page) == ["Refund 2", "Refund 1", "Refund 3", "Deploy", "Alone"]
    await expect(page.locator(".similar")).to_have_count(1)
    await expect(page.locator(".similar h2")).to_have_text("refunds 3")
    assert await axe(page) == []
    await page.get_by_role("button", name="Filter and sort").click()
    await page.get_by_role("combobox", name="Group by").select_option("type")
    await expect(page.locator(".similar h3")).to_have_text("refunds 3")
    await page.get_by_role("combobox", name="Group by").select_option("")
    # A filter hides one of them: neither the number nor the button counts it.
    await world.create_prompt(confirm("Refund 4", group_key="refunds", kind="preview"))
    await expect(page.locator(".row-words")).to_have_count(6)
    await page.get_by_role("combobox", name="Kind").select_option("confirm")
    await expect(page.locator(SIMILAR)).to_have_text("Choose these 3")
    # By keys: the button is the tab stop before the rows of its group, and of no other row.
    await page.locator('[data-open]:has-text("Refund 2")').focus()
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Shift+Tab")
    await expect(page.locator(SIMILAR)).to_be_focused()
    # A new one waits while the person is in the list, and the button does not choose it.
    await world.create_prompt(confirm("Refund 5", group_key="refunds"))
    await expect(page.locator(".waiting-button")).to_contain_text("1 new")
    await page.keyboard.press("Enter")
    await expect(page.locator(".chosen")).to_contain_text("3 chosen")
    assert await chosen(page) == ["Refund 2", "Refund 1", "Refund 3"]
    await page.locator(".waiting-button").click()
    await page.get_by_role("button", name="Clear filters").click()
    await expect(page.locator(".similar h2")).to_have_text("refunds 5")
    assert await chosen(page) == ["Refund 2", "Refund 1", "Refund 3"]
    await page.locator('[data-open]:has-text("Refund 2")').focus()
    await page.keyboard.press("End")
    await expect(page.locator(SIMILAR)).to_have_attribute("tabindex", "-1")


async def test_a_joint_decision_is_one_call_and_what_fails_stays_chosen(inbox: Inbox) -> None:
    asked = [await inbox.world.create_prompt(confirm(f"Refund {n}", group_key="refunds")) for n in range(4)]
    calls: list[dict[str, Any]] = []

    def altered(call: dict[str, Any]) -> dict[str, Any]:
        calls.append(json.loads(json.dumps(call)))
        call["items"][1]["revision"] = 7
        call["items"][2]["promptId"] = ABSENT_ID
        return call

    def watch(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        async def pass_on(message: str | bytes) -> None:
            sent = json.loads(message)
            assert not any("answerPrompt" in frame for frame in sent["frames"])
            for frame in sent["frames"]:
                if (call := frame.get("answerPrompts")) is None:
                    continue
                frame["answerPrompts"] = altered(call)
                if len(calls) == 1:
                    # The connection is lost before the service has the call.
                    await server.close()
                    await socket.close(code=1012)
                    return
            server.send(json.dumps(sent))

        socket.on_message(pass_on)

    async def post(route: Route) -> None:
        await route.continue_(post_data=json.dumps(altered(route.request.post_data_json)))

    context = await inbox.context()
    await context.route_web_socket("**/*", watch)
    await context.route("**/askback.v1.HitlService/AnswerPrompts", post)
    page = await inbox.tab(context)
    await page.locator(SIMILAR).click()
    await page.locator(f'[data-choose="{asked[3].prompt_id}"]').uncheck()
    await page.get_by_role("button", name="Decide together").click()
    table = page.get_by_role("dialog")
    await table.get_by_text("Confirm (3 of 3)").click()
    confirm_button = table.locator("[data-command=bulk-confirm]")
    await expect(confirm_button).to_have_attribute("aria-disabled", "false")
    await confirm_button.click()
    first, stale, absent = (table.locator(f'[data-bulk="{one.prompt_id}"] td').last for one in asked[:3])
    await expect(first).to_contain_text("Your answer counts: “Confirm”")
    await expect(stale).to_contain_text("The question changed")
    await expect(absent.locator("[data-result]")).to_have_attribute("data-result", "refused")
    # Without a reply for five seconds the page sends it again by POST: on a slow machine there are three.
    assert len(calls) >= 2
    assert all(call == calls[0] for call in calls), "after the connection was lost the call is the same"
    assert [item["promptId"] for item in calls[0]["items"]] == [one.prompt_id for one in asked[:3]]
    await table.locator("footer").get_by_role("button", name="Close").click()
    await expect(page.get_by_role("region", name="Chosen questions")).to_contain_text("2 chosen")
    await expect(page.locator("[data-command=results]")).to_be_visible()
    assert await chosen(page) == ["Refund 1", "Refund 2"]
    said = (await inbox.world.prompt(asked[0].prompt_id)).resolution.answer
    assert (said.batch_id, said.user_id) == (calls[0]["batchId"], "ana")
    for one in asked[1:]:
        assert (await inbox.world.prompt(one.prompt_id)).state == prompts.PROMPT_STATE_PENDING
    # The record of the answer says how it was given.
    await page.goto(f"{inbox.origin}/prompts/{asked[0].prompt_id}")
    await expect(page.locator(".tombstone")).to_contain_text("part of a joint decision")
