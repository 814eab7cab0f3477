"""Long lists: what one change costs does not grow with the number of rows. Counted work, not time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from playwright.async_api import Page, expect

from askback_server.domain.content import PromptContent
from askback_server.domain.prompts import PromptState
from tests.support.browser import Inbox
from tests.support.requests import confirm
from tests.support.rows import as_answered, creation, new_job, new_prompt

MANY = 9_990
"""Nearly 10,000, because the list is drawn in steps of 200: there is room for a few more."""
PAGE = 200
"""The rows of a page of the list."""

_DRAW_ALL = """
async () => {
  for (let more; (more = document.querySelector(".more")); ) {
    more.click();
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  }
  return document.querySelectorAll(".row").length;
}
"""

_COUNT = """
() => {
  const rows = new Set();
  const seen = (window.seen = { rows, added: 0, texts: 0 });
  new MutationObserver((changes) => {
    for (const change of changes) {
      const at = change.target;
      const row = (at instanceof Element ? at : at.parentElement)?.closest(".row");
      if (row) rows.add(row.dataset.row);
      if (change.type === "childList" && at.matches(".rows, .list, .group")) {
        seen.added += change.addedNodes.length;
        for (const one of change.removedNodes) seen.added += one.nodeType === 1 ? 1 : 0;
      }
    }
  }).observe(document.querySelector(".list"), { childList: true, characterData: true, subtree: true });
}
"""


@dataclass(frozen=True, slots=True)
class Work:
    """What the page did: rows and pages that it put in or took out, and rows with changed texts."""

    moved: int
    changed: int


async def counted(page: Page) -> Work:
    found: Any = await page.evaluate("({ moved: seen.added, changed: seen.rows.size })")
    return Work(found["moved"], found["changed"])


async def ask(inbox: Inbox, count: int, **content: Any) -> None:
    """Put open prompts into the database, many at a time."""
    for start in range(0, count, 500):
        job = new_job()
        prompts = [
            new_prompt(job, PromptContent("confirm", f"Question {start + n}", priority=n % 3, **content))
            for n in range(min(500, count - start))
        ]
        await inbox.world.service.replica.jobs.write([creation(job, *prompts)])


async def drawn(inbox: Inbox, count: int) -> Page:
    """The page with all rows of the list, and nothing that holds the list."""
    page = await inbox.open()
    await expect(page.locator('[data-view="all"] .count')).to_have_text(f"{count:,}")
    assert await page.evaluate(_DRAW_ALL) == count
    await page.locator("#search").focus()
    await page.mouse.move(1_000, 600)
    await page.evaluate(_COUNT)
    return page


async def new_row(inbox: Inbox, page: Page, title: str, priority: int) -> Work:
    """The work for one new row."""
    before = await counted(page)
    await inbox.world.create_prompt(confirm(title, priority=priority))
    await page.wait_for_function(
        "title => [...document.querySelectorAll('.row-words')].some((at) => at.textContent === title)",
        arg=title,
    )
    after = await counted(page)
    return Work(after.moved - before.moved, after.changed - before.changed)


async def test_a_new_row_costs_as_much_among_10000_as_among_100(inbox: Inbox) -> None:
    """At the top, in the middle, and at the end."""
    await ask(inbox, 100)
    page = await drawn(inbox, 100)
    few = [await new_row(inbox, page, f"Few {at}", at) for at in (90, 1, -90)]
    await page.close()
    await ask(inbox, MANY - 103)
    page = await drawn(inbox, MANY)
    many = [await new_row(inbox, page, f"Many {at}", at) for at in (91, 1, -91)]
    for one, other in zip(few, many, strict=True):
        assert other.moved <= one.moved + 1, (few, many)  # the last page may be full: then there is a new one


async def test_clocks_of_rows_off_the_screen_stand_still(inbox: Inbox) -> None:
    """Each row counts down by the second here, but only the pages of the list near the screen are drawn."""
    await ask(inbox, 3_000, timeout=timedelta(minutes=4))
    page = await drawn(inbox, 3_000)
    await page.wait_for_function("() => seen.rows.size > 0")
    await page.evaluate("seen.rows.clear()")
    await page.wait_for_function("() => seen.rows.size > 0")
    changed = (await counted(page)).changed
    assert 0 < changed <= 3 * PAGE, changed
    # A page that comes on the screen has the right time at once, and goes on.
    last = page.locator(".row").last
    old = await last.locator(".deadline").text_content()
    await last.scroll_into_view_if_needed()
    await expect(last.locator(".deadline")).not_to_have_text(old or "")


async def test_rows_off_the_screen_can_be_found_and_focused(inbox: Inbox) -> None:
    """Their texts are in the document, for a search in the page and for screen readers; End of the keyboard's
    way through the list brings them on the screen."""
    await ask(inbox, 600)
    page = await drawn(inbox, 600)
    assert await page.evaluate("find('Question 599', true, false, true)")
    last = page.locator(".row-link").last
    await last.focus()
    await expect(last).to_be_focused()
    await expect(last).to_be_in_viewport()


async def test_everything_that_a_person_decided_is_listed_by_pages(inbox: Inbox) -> None:
    """Newest first, with the number of all, and more rows as the list is scrolled. Others' are not in it."""
    job = new_job()
    plain = PromptContent("confirm", "?")
    labelled = PromptContent("confirm", "?", labels={"team": "a=b"})
    own = [as_answered(new_prompt(job, plain if n < 447 else labelled), "ana", minute=-n) for n in range(450)]
    others = [as_answered(new_prompt(job, plain), "ben", minute=-n) for n in range(40)]
    assert own[0].state is PromptState.ANSWERED
    await inbox.world.service.replica.jobs.write([creation(job, *own, *others)])
    page = await inbox.open()
    await page.locator('[data-view="decided"]').click()
    await expect(page.locator('[data-view="decided"] .count')).to_have_text("450")
    await expect(page.locator(".summary")).to_contain_text("450 questions decided by you")
    await expect(page.locator(".row")).to_have_count(PAGE)
    # The pointer stays in the list, which only grows at its end.
    await page.locator(".row").nth(3).hover()
    first = await page.locator(".row").first.get_attribute("data-row")
    for count in (2 * PAGE, 450):
        await page.locator(".more").scroll_into_view_if_needed()
        await expect(page.locator(".row")).to_have_count(count)
    await expect(page.locator(".more")).to_have_count(0)
    ids = await page.locator(".row").evaluate_all("rows => rows.map((row) => row.dataset.row)")
    assert ids == [prompt.prompt_id for prompt in own]
    assert ids[0] == first
    # The service filters: these are on no page that was read yet.
    await page.goto(f"{inbox.origin}/?view=decided&label=team%3Da%3Db")
    await expect(page.locator(".summary")).to_contain_text("3 questions decided by you")
    await expect(page.locator(".row")).to_have_count(3)


async def test_what_closed_is_listed_by_pages_without_a_count(inbox: Inbox) -> None:
    job = new_job()
    closed = [
        as_answered(new_prompt(job, PromptContent("confirm", f"Question {n}?")), "ben", minute=-n)
        for n in range(2 * PAGE + 3)
    ]
    await inbox.world.service.replica.jobs.write([creation(job, *closed)])
    page = await inbox.open(path="/?view=closed")
    await expect(page.locator(".row")).to_have_count(PAGE)
    await expect(page.locator(".summary")).to_have_text(f"{PAGE} closed questions, and older ones")
    # A search without a hit has the button on the screen, which reads one page by itself.
    last = f"Question {2 * PAGE + 2}?"
    await page.locator("#search").fill(last)
    await expect(page.locator(".row")).to_have_count(0)
    await expect(page.locator(".note")).to_have_text(
        f"Searched in the last {2 * PAGE} closed questions. The button searches in more."
    )
    await page.get_by_role("button", name="Show older ones").click()
    await expect(page.locator(".row-words")).to_have_text([last])
    await page.locator("#search").fill("")
    await page.locator(".more").scroll_into_view_if_needed()
    await expect(page.locator(".row")).to_have_count(2 * PAGE)
    await page.locator(".more").scroll_into_view_if_needed()
    await expect(page.locator(".row")).to_have_count(2 * PAGE + 3)
    await expect(page.locator(".summary")).to_have_text(f"{2 * PAGE + 3} closed questions")
