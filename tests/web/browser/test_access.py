"""The page for everyone: axe finds nothing, keys can be switched off, narrow windows and phones work."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, Route, expect

from askback.v1 import hitl_service_pb2 as hitl
from tests.support.browser import Inbox, axe, live, settled
from tests.support.requests import answer, confirm, form, seconds

PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}


async def nothing(_: Page) -> None:
    """Leave the view as it opens."""


async def open_help(page: Page) -> None:
    """Open the help."""
    await page.keyboard.press("?")
    await page.get_by_role("dialog").wait_for()


async def open_palette(page: Page) -> None:
    """Open the palette."""
    await page.keyboard.press("Control+k")
    await page.get_by_role("dialog").wait_for()


async def open_filters(page: Page) -> None:
    """Open the filters."""
    await page.get_by_role("button", name="Filter and sort").click()


async def open_bulk(page: Page) -> None:
    """Choose all rows and open the table of a joint decision."""
    for box in await page.locator(".row:not(.is-closed) [data-choose]").all():
        await box.check()
    await page.get_by_role("button", name="Decide together").click()
    await page.get_by_role("dialog").wait_for()


async def turn_all_on(page: Page) -> None:
    """Turn on what settings offer, and ask for a key."""
    await page.context.grant_permissions(["notifications"])
    for box in await page.locator(".settings fieldset input[type=checkbox]").all():
        await box.check()
    await page.get_by_role("button", name="Add a key for: search").click()


VIEWS: dict[str, tuple[str, Callable[[Page], Awaitable[None]]]] = {
    "queue": ("/", nothing),
    "filters": ("/?kind=confirm&group=type", open_filters),
    "prompt": ("/prompts/{open}", nothing),
    "form": ("/prompts/{form}", nothing),
    "claimed": ("/prompts/{claimed}", nothing),
    "closed": ("/prompts/{closed}", nothing),
    "bulk": ("/", open_bulk),
    "help": ("/", open_help),
    "palette": ("/", open_palette),
    "settings": ("/settings", nothing),
    "settings on": ("/settings", turn_all_on),
    "unknown": ("/jobs/not_an_id", nothing),
}


async def fill(inbox: Inbox) -> dict[str, str]:
    """Prompts in every state, by name."""
    world = inbox.world
    body = "Returned after **41 days**; see [the order](https://shop.example.org).\n\n```python\nx = 1\n```"
    shown = await world.create_prompt(
        confirm("Pay?", body=body, priority=3, labels={"team": "a"}, timeout=seconds(240))
    )
    asked = await world.create_prompt(form("How many?"))
    claimed = await world.create_prompt(confirm("Claimed?"))
    closed = await world.create_prompt(confirm("Closed?"))
    ben = world.as_user("ben")
    await ben.hitl.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=claimed.prompt_id))
    await ben.hitl.AnswerPrompt(answer(closed, comment="fine"))
    return {
        "open": shown.prompt_id,
        "form": asked.prompt_id,
        "claimed": claimed.prompt_id,
        "closed": closed.prompt_id,
    }


async def test_axe_finds_nothing_in_any_view(inbox: Inbox) -> None:
    ids = await fill(inbox)
    found: dict[str, list[str]] = {}
    context = await inbox.context()
    for name, (path, act) in VIEWS.items():
        page = await inbox.tab(context, path.format(**ids))
        await page.wait_for_selector('[data-link="live"]')
        if "/prompts/" in path:
            await page.wait_for_selector(".answer")
        await act(page)
        if violations := await axe(page):
            found[name] = violations
        await page.close()
    signed_out = await inbox.context("")
    page = await inbox.tab(signed_out)
    await page.wait_for_selector(".sign-in")
    if violations := await axe(page):
        found["sign-in"] = violations
    assert not found, "\n".join(f"{name}: {text}" for name, texts in found.items() for text in texts)


@pytest.mark.parametrize("size", [(320, 256), (320, 640), (1280, 720)])
async def test_nothing_is_cut_off_sideways(inbox: Inbox, size: tuple[int, int]) -> None:
    ids = await fill(inbox)
    context = await inbox.context(viewport={"width": size[0], "height": size[1]})
    for path in ("/", f"/prompts/{ids['open']}", f"/prompts/{ids['form']}", "/settings"):
        page = await inbox.tab(context, path)
        await page.wait_for_selector('[data-link="live"]')
        if "/prompts/" in path:
            await settled(page)
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= size[0], f"{path} is {width} px wide"
        await page.close()


async def test_german_settings_fit_a_narrow_window_and_axe_finds_nothing(inbox: Inbox) -> None:
    page = await inbox.open(path="/settings", locale="de-DE", viewport={"width": 320, "height": 640})
    for box in await page.locator(".settings fieldset input[type=checkbox]").all():
        await box.click()
    await page.get_by_role("button", name="Taste hinzufügen für: im Eingang suchen").click()
    await page.keyboard.press("a")
    await expect(page.locator(".key-said").first).to_contain_text("„a“ gehört zu: genehmigen, wie es ist.")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
    assert await axe(page) == []


async def test_single_keys_can_be_switched_off(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await inbox.open(path="/settings")
    await page.get_by_label("Single keys act").uncheck()
    await page.goto(f"{inbox.origin}/prompts/{prompt.prompt_id}")
    await settled(page)
    await page.locator("#prompt-title").focus()
    for key in ("a", "r", "j", "?"):
        await page.keyboard.press(key)
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("combobox")).to_be_focused()
    assert not (await inbox.world.prompt(prompt.prompt_id)).submissions
    await page.keyboard.press("Escape")
    await settled(page)
    await page.locator("[data-decision=DECISION_ACCEPT]").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")


async def test_a_phone_shows_the_list_and_then_the_prompt_with_a_way_back(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await inbox.open(**PHONE)
    await page.locator(f'[data-open="{prompt.prompt_id}"]').tap()
    await settled(page)
    assert prompt.prompt_id in page.url
    await expect(page.locator(".queue")).to_be_hidden()
    for button in await page.locator("[data-decision]").all():
        box = await button.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["y"] + box["height"] <= 780
    await page.go_back()
    await expect(page.locator(".queue")).to_be_visible()
    await expect(page.locator(".detail")).to_be_hidden()
    # A list under a finger does not move by itself; it is up to date when the person comes back to it.
    await page.locator(f'[data-open="{prompt.prompt_id}"]').tap()
    await settled(page)
    await page.locator("[data-decision=DECISION_ACCEPT]").tap()
    await expect(page.locator(".tombstone-title")).to_contain_text("“Confirm” by you")
    await page.locator(".back").tap()
    await expect(page.locator(".empty")).to_contain_text("Nothing waits for you")
    await expect(page.locator(".row")).to_have_count(0)


async def test_the_answer_on_a_phone_leaves_room_for_the_question(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go?", body="A paragraph.\n\n" * 30))
    await inbox.world.create_prompt(confirm("Another?"))
    page = await inbox.open(path=f"/prompts/{prompt.prompt_id}", **PHONE)
    await settled(page)
    bar = page.locator(".answer")

    async def height(selector: str) -> float:
        box = await page.locator(selector).first.bounding_box()
        assert box is not None
        return box["height"]

    await expect(page.locator("#answer-why")).to_contain_text("not seen yet")
    assert await height(".answer") < 780 / 4
    assert await height("[data-decision]") >= 48
    one_line = await height("#comment")
    await page.locator("#comment").fill("A text of several lines.\n" * 8)
    long = await height("#comment")
    assert long > 2 * one_line
    await page.locator("#prompt-title").focus()
    assert one_line < await height("#comment") < long
    # Screen readers hear what is needed, although the words have no room.
    await expect(bar.get_by_role("textbox")).to_have_accessible_name("Comment needed for: Ask for changes")


async def test_a_long_title_is_read_whole_before_an_approval(inbox: Inbox) -> None:
    title = ("Release version 2 to all customers, with the new payment provider. " * 7).strip()
    prompt = await inbox.world.create_prompt(confirm(title))
    page = await inbox.open(**PHONE)
    await expect(page.locator(".row-words")).to_have_text(title)
    await page.locator(f'[data-choose="{prompt.prompt_id}"]').check()
    await page.get_by_role("button", name="Decide together").click()
    cell = page.locator(f'[data-bulk="{prompt.prompt_id}"] th')
    await expect(cell).to_contain_text(title)
    assert await cell.evaluate("(cell) => cell.scrollHeight <= cell.clientHeight")
    await page.keyboard.press("Escape")
    await page.locator(f'[data-choose="{prompt.prompt_id}"]').uncheck()
    await page.locator(f'[data-open="{prompt.prompt_id}"]').tap()
    await settled(page)
    await expect(page.locator("#prompt-title")).to_have_text(title)
    # It has no text but the title, whose end is below the screen.
    await expect(page.locator("#answer-why")).to_contain_text("not seen yet")
    await page.locator("[data-decision=DECISION_ACCEPT]").tap()
    await expect(page.locator("#answer-why")).to_contain_text("not on your screen")
    await page.get_by_role("button", name="Not yet").tap()
    await page.get_by_role("button", name="Scroll on").tap()
    await expect(page.locator("#answer-why")).to_contain_text("You have seen all of it")
    assert not (await inbox.world.prompt(prompt.prompt_id)).submissions


async def test_the_strip_says_what_to_do_on_every_width(inbox: Inbox) -> None:
    for locale, words in (("en-GB", "Signed out. Your text is kept."), ("de-DE", "Abgemeldet.")):
        page = await inbox.open(locale=locale, **{**PHONE, "viewport": {"width": 320, "height": 640}})
        await inbox.end_session(page)
        await expect(page.locator(".strip-state")).to_contain_text(words)
        await expect(page.locator(".strip-state")).not_to_contain_text("(")
        box = await page.locator(".strip .button").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 320


async def test_new_prompts_are_announced_in_one_message(inbox: Inbox) -> None:
    page = await inbox.open()
    await expect(page.locator("#polite")).to_have_attribute("aria-live", "polite")
    await expect(page.locator("#assertive")).to_have_attribute("aria-live", "assertive")
    await inbox.world.create_prompt(confirm("Urgent", priority=9))
    await expect(page.locator("#polite")).to_have_text("1 new question, 1 urgent")
    assert await page.title() == "(1) Askback"


async def test_prompts_that_come_before_the_code_of_notices_are_announced(inbox: Inbox) -> None:
    """The code is loaded after the first paint."""
    context = await inbox.context("ana")
    released = asyncio.Event()

    async def hold(route: Route) -> None:
        await released.wait()
        await route.continue_()

    await context.route("**/assets/notices.js*", hold)
    page = await inbox.tab(context)
    await live(page)
    await inbox.world.create_prompt(confirm("Urgent", priority=9))
    await expect(page.locator(".row")).to_have_count(1)
    released.set()
    await expect(page.locator("#polite")).to_have_text("1 new question, 1 urgent")


async def test_the_page_speaks_german(inbox: Inbox) -> None:
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    page = await inbox.open(path=f"/prompts/{prompt.prompt_id}", locale="de-DE")
    await settled(page)
    assert await page.evaluate("document.documentElement.lang") == "de"
    await expect(page.locator(".summary")).to_have_text("1 Frage wartet")
    # A label that the service filled in is said in the reader's language.
    words = await page.locator("[data-decision] .decision-words").all_inner_texts()
    assert words == ["Bestätigen", "Änderungen verlangen", "Ablehnen"]
    await expect(page.locator(".comment")).to_contain_text("Änderungen verlangen")


@pytest.mark.parametrize("locale", ["en-GB", "de-DE"])
async def test_a_phone_says_who_is_signed_in_and_names_the_pages(inbox: Inbox, locale: str) -> None:
    context = await inbox.context("ana", ("desk",), locale=locale, **PHONE)
    page = await inbox.tab(context)
    await live(page)
    who = page.locator(".strip-who a")
    await expect(who).to_contain_text("ana")
    await expect(who).to_contain_text("desk")
    for link in await page.locator(".top nav a").all():
        await expect(link.locator("span")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    last = await page.locator(".top > button").last.bounding_box()
    assert last is not None
    assert last["x"] + last["width"] <= PHONE["viewport"]["width"]
    assert await axe(page) == []
    await who.click()
    # Where to sign out is at the top of the settings.
    out = await page.get_by_role(
        "button", name="Sign out" if locale == "en-GB" else "Abmelden"
    ).bounding_box()
    assert out is not None
    assert out["y"] < PHONE["viewport"]["height"]
