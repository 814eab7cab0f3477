"""The receipt of a closed question: downloaded from the page, and verified without the service."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from askback import verify_receipt
from askback.v1 import prompt_pb2 as prompts
from askback_server.signing import add_key, public_set
from tests.support.browser import Inbox, axe, live
from tests.support.requests import answer, confirm
from tests.support.shell import Shell

OpenInbox = Callable[..., AbstractAsyncContextManager[Inbox]]


async def decided(inbox: Inbox) -> prompts.Prompt:
    prompt = await inbox.world.create_prompt(confirm("Deploy 1.4?"))
    await inbox.world.as_user("ben").hitl.AnswerPrompt(answer(prompt, comment="go"))
    return prompt


async def show(inbox: Inbox, prompt: prompts.Prompt) -> Page:
    page = await inbox.open("ana", f"/prompts/{prompt.prompt_id}")
    await live(page)
    return page


async def test_the_file_of_a_receipt_verifies(open_inbox: OpenInbox, tmp_path: Path) -> None:
    keys = tmp_path / "signing-keys.json"
    add_key(str(keys))
    async with open_inbox(signing_keys=str(keys)) as inbox:
        prompt = await decided(inbox)
        page = await show(inbox, prompt)
        async with page.expect_download() as begun:
            await page.get_by_role("button", name="Receipt").click()
        downloaded = await begun.value
        assert downloaded.suggested_filename == f"receipt-{prompt.prompt_id}.json"
        file = tmp_path / "receipt.json"
        await downloaded.save_as(file)
        await expect(page.locator(".tombstone-receipt")).to_contain_text("Downloaded.")
        assert await axe(page) == []
    document: Any = json.loads(file.read_text("utf-8"))
    assert verify_receipt(document["receipt"], public_set(str(keys))).decided_by == "ben"
    shell = Shell(tmp_path, "127.0.0.1:1")
    verified = await shell.run("receipt", "verify", str(file), "--json")
    shell.end()
    assert (verified.code, json.loads(verified.out)["valid"]) == (0, True)


async def test_without_a_key_the_page_says_why_there_is_none(inbox: Inbox) -> None:
    inbox.complaints.allowed.append("400")
    page = await show(inbox, await decided(inbox))
    await page.get_by_role("button", name="Receipt").click()
    await expect(page.locator(".tombstone-receipt")).to_contain_text("the server cannot sign")
