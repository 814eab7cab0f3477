"""What people look at in the page: hostile texts do nothing and stay readable, and nothing is cut unsaid."""

import json
import re
from typing import Any

import pytest
from playwright.async_api import Page, Request, expect

from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, axe, settled
from tests.support.requests import ACCEPT, audience, confirm

HOSTILE = """# <img src=x onerror=alert(1)> heading

<script>alert(1)</script> and [a click](javascript:alert(1)) and \u202edesrever\u202c and \x1b[31mred\x1b[0m.

![picture](https://tracker.example/p.gif) [link](https://xn--bnk-0na.example/login "title") https://auto.example

| a | b |
|---|---|
| 1 | 2 | hidden cell |

[//]: # (a hidden comment)
"""


async def show(inbox: Inbox, **content: Any) -> tuple[Page, list[str]]:
    """The page with this content, and the addresses that it asks for."""
    prompt = await inbox.world.create_prompt(confirm("Go on?", **content))
    page = await inbox.open("ana", f"/prompts/{prompt.prompt_id}")
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    await settled(page)
    return page, asked


def part(text: str, media_type: str) -> prompts.PromptPart:
    """A text to look at."""
    return prompts.PromptPart(content_id="it", media_type=media_type, text=text)


async def test_hostile_markdown_does_nothing_and_is_shown_whole(inbox: Inbox) -> None:
    page, asked = await show(inbox, body=HOSTILE)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    content = page.locator(".markdown").first
    for text in (
        "<img src=x onerror=alert(1)> heading",
        "<script>alert(1)</script>",
        "[a click](javascript:alert(1))",
        "<U+202E>desrever<U+202C>",
        "<U+001B>[31mred<U+001B>[0m",
        "Image: picture (tracker.example)",
        "link (xn--bnk-0na.example)",
        "hidden cell",
        "a hidden comment",
    ):
        await expect(content).to_contain_text(text)
    assert await content.locator("img, script, iframe, style, [style], [onerror]").count() == 0
    links = content.locator("a")
    addresses = await links.evaluate_all("all => all.map(link => [link.href, link.rel, link.target])")
    assert addresses == [
        ["https://tracker.example/p.gif", "noopener noreferrer", "_blank"],
        ["https://xn--bnk-0na.example/login", "noopener noreferrer", "_blank"],
    ]
    assert [url for url in asked if not url.startswith((inbox.origin, "ws"))] == []
    assert dialogs == []


async def test_what_was_not_scrolled_to_is_counted_until_it_was(inbox: Inbox) -> None:
    page, _ = await show(inbox, body="\n\n".join(f"paragraph {n}" for n in range(200)))
    await expect(page.locator("body")).to_contain_text("lines not seen yet")
    for place in range(0, 200, 8):
        await page.get_by_text(f"paragraph {place}", exact=True).scroll_into_view_if_needed()
    await page.get_by_text("paragraph 199", exact=True).scroll_into_view_if_needed()
    await expect(page.locator("body")).to_contain_text("You have seen all of it.")


async def test_what_is_below_the_screen_is_counted_by_its_own_lines(inbox: Inbox) -> None:
    diff = "@@ -1,9 +1,9 @@\n" + "".join(f" line {n}\n" for n in range(8)) + "-price is 10\n+price is 99\n"
    body = "\n\n".join(f"paragraph {n}" for n in range(20))
    prompt = await inbox.world.create_prompt(
        confirm("Go on?", body=body, contents=[part(diff, "text/x-diff")])
    )
    page = await inbox.open(path=f"/prompts/{prompt.prompt_id}", viewport={"width": 1000, "height": 500})
    await settled(page)
    said = page.get_by_text("lines not seen yet")
    # 20 paragraphs with the space between them, and 11 lines of a diff, less what is on the screen.
    await expect(said).to_contain_text(re.compile(r"About [2-4]\d lines"))


async def test_a_changed_line_is_told_by_its_sign_and_by_its_words(inbox: Inbox) -> None:
    diff = "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n same\n-price is 10 EUR\n+price is 99 EUR\n end\n"
    page, _ = await show(inbox, contents=[part(diff, "text/x-diff")])
    removed, added = page.locator(".diff-removed"), page.locator(".diff-added")
    await expect(removed).to_contain_text("price is 10 EUR")
    await expect(removed.get_by_role("img", name="removed")).to_have_text("−")
    await expect(added.get_by_role("img", name="added")).to_have_text("+")
    await expect(removed.locator("del")).to_have_text(["10"])
    await expect(added.locator("ins")).to_have_text(["99"])
    await page.get_by_role("button", name="Side by side").click()
    await expect(page.locator(".diff-pair")).to_have_count(3)


async def test_a_json_tree_is_read_by_keys_and_keeps_its_numbers(inbox: Inbox) -> None:
    text = (
        '{"z": 12345678901234567890, "10": 1.50, "rows": ' + json.dumps([{"id": n} for n in range(300)]) + "}"
    )
    page, _ = await show(inbox, contents=[part(text, "application/json")])
    tree = page.get_by_role("tree")
    rows = tree.get_by_role("treeitem")
    await expect(rows.nth(1)).to_contain_text("z: 12345678901234567890")
    await expect(rows.nth(2)).to_contain_text("10: 1.50")
    await rows.nth(0).focus()
    await page.keyboard.press("End")
    await page.keyboard.press("Home")
    await expect(rows.nth(0)).to_be_focused()
    await page.keyboard.press("ArrowLeft")
    await expect(rows).to_have_count(1)
    await expect(page.locator("body")).to_contain_text("lines not seen yet")
    await page.keyboard.press("ArrowRight")
    await expect(rows.nth(1)).to_contain_text("z:")


async def test_long_texts_are_whole_behind_a_button_that_says_how_long(inbox: Inbox) -> None:
    text = "".join(f"line {n}\n" for n in range(30_000))
    page, _ = await show(inbox, contents=[part(text, "text/plain")])
    button = page.get_by_role("button", name=f"Show all {len(text):,} characters")
    await button.click()
    await expect(page.locator(".long-text")).to_contain_text("line 29999")
    await expect(page.get_by_text("Preparing the view")).to_have_count(0)


async def test_the_largest_diff_is_shown_to_its_end(inbox: Inbox) -> None:
    line = "-the old value of this line is 1\n+the new value of this line is 2\n"
    count = 480 * 1024 // len(line)
    diff = f"@@ -1,{count} +1,{count} @@\n{line * count}"
    page, _ = await show(inbox, contents=[part(diff, "text/x-diff")])
    await expect(page.locator(".diff-count")).to_contain_text(
        f"{count:,} lines added, {count:,} lines removed"
    )
    await expect(page.locator(".diff-rows > p")).to_have_count(0, timeout=60_000)
    assert await page.locator(".diff-added").count() == count


async def test_hostile_names_are_written_out(inbox: Inbox) -> None:
    accept = prompts.DecisionOption(decision=ACCEPT, label="Go \u202eon")
    content = confirm(
        "Go?", decisions=[accept], labels={"team": "a\u202eb"}, audience=audience("ana", "b\u200bo")
    )
    prompt = await inbox.world.create_prompt(content)
    page = await inbox.open("ana", f"/prompts/{prompt.prompt_id}")
    await expect(page.locator("[data-decision=DECISION_ACCEPT]")).to_contain_text("Go <U+202E>on")
    await expect(page.locator(".detail-scroll")).to_contain_text("team: a<U+202E>b")
    await expect(page.locator(".detail-scroll")).to_contain_text("b<U+200B>o")


CHANGED = (20, 173, 290)


def long_diff() -> str:
    """A unified diff of 300 lines with all of its context, and three changed lines."""
    lines = []
    for n in range(1, 301):
        lines += [f"-old {n}", f"+new {n}"] if n in CHANGED else [f" line {n}"]
    return "@@ -1,300 +1,300 @@\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize("width", [1280, 390])
async def test_a_reader_goes_from_change_to_change_of_a_long_diff(inbox: Inbox, width: int) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go on?", contents=[part(long_diff(), "text/x-diff")]))
    page = await inbox.open(path=f"/prompts/{prompt.prompt_id}", viewport={"width": width, "height": 800})
    await settled(page)
    changed = page.locator(".diff-removed")
    await expect(changed).to_have_count(3)
    # What is far from a change is folded, and a fold says how much it has.
    await expect(page.locator(".fold")).to_have_text([f"Show {n} unchanged lines" for n in (13, 146, 110, 7)])
    await page.locator("#prompt-title").focus()
    for n, place in zip(CHANGED, range(3), strict=True):
        if width > 800 or place != 1:
            await page.keyboard.press("n")
        else:
            await page.get_by_role("button", name="Next of 3 changes").click()
        await expect(page.locator("[data-at]")).to_contain_text(f"old {n}")
        await expect(page.locator("[data-at]")).to_be_in_viewport(ratio=0.9)
        await expect(page.locator("[role=status]", has_text=f"Change {place + 1} of 3")).to_have_count(1)
    # What is folded does not count as unseen. Keys may be quicker than the page looks: read it from the top.
    await page.locator("#detail-scroll").evaluate("(pane) => pane.scrollTo(0, 0)")
    for each in await page.locator(":is(.fold, .diff-row)").all():
        await each.scroll_into_view_if_needed()
    await expect(page.locator("body")).to_contain_text("You have seen all but 276 unchanged lines.")
    await page.keyboard.press("n")
    await expect(page.locator("[data-at]")).to_contain_text(f"old {CHANGED[0]}")
    # Nothing is gone: an opened fold has every line, counts like any other text, and can be closed again.
    fold = page.locator(".fold").nth(1)
    await fold.click()
    await expect(page.get_by_text("line 100", exact=True)).to_have_count(1)
    await expect(page.locator("body")).to_contain_text("lines not seen yet")
    await expect(fold).to_have_text("Hide 146 unchanged lines")
    await expect(fold).to_have_attribute("aria-expanded", "true")
    await fold.click()
    await expect(page.locator("body")).to_contain_text("You have seen all but 276 unchanged lines.")
    await page.get_by_role("button", name="Side by side").click()
    await page.keyboard.press("n")
    await expect(page.locator(".diff-pair[data-at]")).to_contain_text(f"old {CHANGED[0]}")
    assert await axe(page) == []


async def test_the_key_of_the_next_change_can_be_another_one(inbox: Inbox) -> None:
    diff = long_diff()
    prompt = await inbox.world.create_prompt(confirm("Go on?", contents=[part(diff, "text/x-diff")]))
    page = await inbox.open(path="/settings", locale="de-DE")
    row = page.locator('.key-settings li[data-command="key.change"]')
    await expect(row).to_contain_text("zur nächsten Änderung eines Vergleichs gehen")
    await row.locator(".key-choice").click()
    await row.locator(".key-add").click()
    await page.keyboard.press("x")
    await page.goto(f"{inbox.origin}/prompts/{prompt.prompt_id}")
    await settled(page)
    button = page.locator("[data-command=change]")
    await expect(button).to_have_text("Nächste von 3 Änderungenx")
    await expect(page.locator(".fold").first).to_have_text("13 gleiche Zeilen zeigen")
    await page.locator("#prompt-title").focus()
    await page.keyboard.press("n")
    await expect(page.locator("[data-at]")).to_have_count(0)
    await page.keyboard.press("x")
    await expect(page.locator("[data-at]")).to_contain_text(f"old {CHANGED[0]}")
