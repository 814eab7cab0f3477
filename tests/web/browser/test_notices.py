"""What tells a person who looks elsewhere: the tab's title, the icon, a notification, a tone.

Headless Chromium has no notification centre and hides no page. So the notifications are Chromium's own,
remembered by a subclass, and a test clicks one by sending it the event; and a script says that a page is
hidden and draws nothing.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, WebSocketRoute, expect

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as prompts
from tests.support.browser import Inbox, axe, live, settled
from tests.support.requests import answer, audience, confirm

PAUSE_MS = 10_000
"""The time between two alerts, as in client/web/src/view/alerts.ts."""

_SPY = """
window.shown = [];
window.badges = [];
window.notes = [];
const Real = window.Notification;
window.Notification = class extends Real {
  constructor(title, options) {
    super(title, options);
    this.isOpen = true;
    this.addEventListener("close", () => { this.isOpen = false; });
    window.shown.push(this);
    queueMicrotask(() => window.atOnce?.());
  }
};
navigator.setAppBadge = async (n) => { window.badges.push(n); };
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...times) {
  window.notes.push(this.frequency.value);
  return start.apply(this, times);
};
const ramp = AudioParam.prototype.exponentialRampToValueAtTime;
AudioParam.prototype.exponentialRampToValueAtTime = function (value, time) {
  window.loudest = Math.max(window.loudest ?? 0, value);
  return ramp.call(this, value, time);
};
"""

_HIDE = """
const frame = window.requestAnimationFrame;
let isHidden = false;
Object.defineProperty(document, "visibilityState", { get: () => (isHidden ? "hidden" : "visible") });
document.hasFocus = () => !isHidden;
window.hide = (hidden) => {
  isHidden = hidden;
  window.requestAnimationFrame = hidden ? () => 0 : frame;
  document.dispatchEvent(new Event("visibilitychange"));
};
"""


async def browser_of(inbox: Inbox, *, allowed: bool = True, real_focus: bool = False) -> BrowserContext:
    """A browser that remembers notifications; `allowed`: the person has allowed them before."""
    context = await inbox.context()
    await context.add_init_script(_SPY)
    if not real_focus:
        await context.add_init_script(_HIDE)
    if allowed:
        await context.grant_permissions(["notifications"], origin=inbox.origin)
    return context


async def turn_on(page: Page, *names: str) -> None:
    """Turn settings on in the page's settings."""
    await page.get_by_role("link", name="Settings").click()
    for name in names:
        await page.get_by_role("checkbox", name=name).check()
    await page.get_by_role("link", name="Inbox").click()


async def hidden(page: Page, *, is_hidden: bool = True) -> None:
    """Hide the page, or show it."""
    await page.evaluate("(hidden) => hide(hidden)", is_hidden)


async def shown(page: Page) -> list[str]:
    """Title and text of the notifications that a page has shown, closed ones included."""
    found: list[str] = await page.evaluate("shown.map((one) => `${one.title}|${one.body}`)")
    return found


async def expect_open(page: Page, count: int) -> None:
    """Wait until this many notifications of a page are open."""
    await page.wait_for_function("(count) => shown.filter((one) => one.isOpen).length === count", arg=count)


async def click(page: Page) -> None:
    """Click the newest notification."""
    await page.evaluate("shown.at(-1).dispatchEvent(new Event('click', {cancelable: true}))")


async def expect_title(page: Page, title: str) -> None:
    """Wait for the title of the tab."""
    await page.wait_for_function("(title) => document.title === title", arg=title)


@pytest_asyncio.fixture(loop_scope="session")
async def page(inbox: Inbox) -> AsyncIterator[Page]:
    """A live page in which notifications are on."""
    opened = await inbox.tab(await browser_of(inbox))
    await live(opened)
    await turn_on(opened, "Desktop notification")
    yield opened


async def test_without_a_choice_only_the_number_tells(inbox: Inbox) -> None:
    page = await inbox.tab(await browser_of(inbox))
    await live(page)
    await hidden(page)
    await inbox.world.create_prompt(confirm("Go?"))
    # A hidden page draws nothing: the number comes with the frame.
    await expect_title(page, "(1) Askback")
    await page.wait_for_function("() => badges.at(-1) === 1")
    assert await shown(page) == []
    assert await page.evaluate("notes") == []


async def test_a_notification_says_what_waits_and_opens_it(inbox: Inbox, page: Page) -> None:
    first = await inbox.world.create_prompt(confirm("First?"))
    await page.locator(f'[data-open="{first.prompt_id}"]').click()
    await settled(page)
    await page.locator("#comment").fill("half a sentence")
    await hidden(page)
    secret = {"body": "the password is 1234", "labels": {"token": "5678"}}
    second = await inbox.world.create_prompt(confirm("Pay \u202e5 €?", **secret))
    await expect_open(page, 1)
    assert await shown(page) == ["Pay <U+202E>5 €?|Confirmation · 2 questions wait"]
    assert await page.evaluate("[shown[0].tag, shown[0].silent, shown[0].actions ?? []]") == [
        "askback",
        True,
        [],
    ]
    await hidden(page, is_hidden=False)
    await hidden(page)
    await expect_open(page, 0)
    await inbox.world.create_prompt(confirm("Third?"))
    await page.wait_for_function("() => shown.length === 2")
    await click(page)
    await hidden(page, is_hidden=False)
    await expect(page.locator("#prompt-title")).to_have_text("Third?")
    await expect(page.locator("#prompt-title")).to_be_focused()
    await expect_open(page, 0)
    await page.locator(f'[data-open="{first.prompt_id}"]').click()
    await expect(page.locator("#comment")).to_have_value("half a sentence")
    assert (await inbox.world.prompt(second.prompt_id)).state == prompts.PROMPT_STATE_PENDING


async def test_a_flood_becomes_one_notification(inbox: Inbox) -> None:
    context = await browser_of(inbox)
    page = await context.new_page()
    await page.clock.install()
    inbox.complaints.watch(page)
    await page.goto(inbox.origin)
    await live(page)
    await turn_on(page, "Desktop notification")
    await hidden(page)
    await inbox.world.create_prompt(confirm("Question 0"))
    await expect_open(page, 1)
    for n in range(1, 31):
        await inbox.world.create_prompt(confirm(f"Question {n}"))
    await expect_title(page, "(31) Askback")
    assert len(await shown(page)) == 1
    await page.clock.fast_forward(PAUSE_MS)
    await page.wait_for_function("() => shown.length === 2")
    named = "\n".join(f"Question {n} (Confirmation)" for n in range(3))
    assert (await shown(page))[1] == f"31 new questions|{named}\nand 28 more"
    await expect_open(page, 1)
    await click(page)
    await hidden(page, is_hidden=False)
    await expect(page.locator(".row")).to_have_count(31)


@dataclass
class Line:
    """The WebSockets of a page, which a test can cut."""

    is_up: bool = True
    open: WebSocketRoute | None = None

    async def connect(self, route: WebSocketRoute) -> None:
        """Let a socket through, or close it."""
        if not self.is_up:
            await route.close(code=1012)
            return
        route.connect_to_server()
        self.open = route

    async def cut(self) -> None:
        """Close what is open, and let nothing through."""
        self.is_up = False
        assert self.open is not None
        await self.open.close(code=1012)


async def test_what_came_while_the_page_was_away_is_summed_up(inbox: Inbox) -> None:
    context = await browser_of(inbox)
    line = Line()
    await context.route_web_socket("**/converse", line.connect)
    await inbox.world.create_prompt(confirm("Old?"))
    gone = await inbox.world.create_prompt(confirm("Gone?"))
    page = await inbox.tab(context)
    await live(page)
    await turn_on(page, "Desktop notification")
    await hidden(page)
    inbox.complaints.allowed += ["ERR_", "WebSocket"]
    await context.set_offline(True)
    await line.cut()
    for n in range(3):
        await inbox.world.create_prompt(confirm(f"New {n}"))
    await inbox.world.as_user("ben").hitl.AnswerPrompt(answer(gone))
    line.is_up = True
    await context.set_offline(False)
    await expect_title(page, "(4) Askback")
    await expect_open(page, 1)
    named = "\n".join(f"New {n} (Confirmation)" for n in range(3))
    assert await shown(page) == [f"3 new questions|{named}"]


@pytest.mark.parametrize("how", ["answered", "claimed"])
async def test_a_notification_that_is_moot_goes_away(inbox: Inbox, page: Page, how: str) -> None:
    await hidden(page)
    prompt = await inbox.world.create_prompt(confirm("Go?"))
    await expect_open(page, 1)
    ben = inbox.world.as_user("ben").hitl
    if how == "answered":
        await ben.AnswerPrompt(answer(prompt))
    else:
        await ben.ClaimPrompt(hitl.ClaimPromptRequest(prompt_id=prompt.prompt_id))
    await expect_open(page, 0)


async def test_a_notification_that_is_moot_before_it_is_on_the_screen_goes_away(
    inbox: Inbox, page: Page
) -> None:
    """Chromium does not close one that it has not shown yet."""
    await hidden(page)
    await page.evaluate("() => { window.atOnce = () => hide(false); }")
    await inbox.world.create_prompt(confirm("Go?"))
    await page.wait_for_function("() => shown.length === 1 && document.visibilityState === 'visible'")
    await expect_open(page, 0)


async def test_a_prompt_of_others_is_no_news(inbox: Inbox, page: Page) -> None:
    await hidden(page)
    await inbox.world.create_prompt(confirm("For ben", audience=audience("ben")))
    await inbox.world.create_prompt(confirm("For ana", audience=audience("ana")))
    await expect_open(page, 1)
    assert await shown(page) == ["For ana|Confirmation"]


async def test_nothing_is_shown_while_the_person_looks(inbox: Inbox, page: Page) -> None:
    await inbox.world.create_prompt(confirm("Seen?"))
    await expect_title(page, "(1) Askback")
    await expect(page.locator(".row-words")).to_have_text("Seen?")
    await hidden(page)
    await inbox.world.create_prompt(confirm("Not seen?"))
    await expect_open(page, 1)
    assert await shown(page) == ["Not seen?|Confirmation · 2 questions wait"]


async def test_a_window_behind_another_one_is_told(inbox: Inbox) -> None:
    """The focus is Chromium's own here: a window that can be seen is not one that is looked at."""
    context = await browser_of(inbox, real_focus=True)
    page = await inbox.tab(context)
    await live(page)
    await turn_on(page, "Desktop notification")
    front = await context.new_page()
    for tab in (page, front):
        session = await context.new_cdp_session(tab)
        await session.send("Emulation.setFocusEmulationEnabled", {"enabled": False})
    await front.bring_to_front()
    await page.wait_for_function("() => !document.hasFocus()")
    await inbox.world.create_prompt(confirm("Go?"))
    await expect_open(page, 1)
    await page.bring_to_front()
    await expect_open(page, 0)
    assert await shown(page) == ["Go?|Confirmation"]


async def test_one_tab_of_a_browser_notifies(inbox: Inbox, page: Page) -> None:
    other = await inbox.tab(page.context)
    await live(other)
    for tab in (page, other):
        await hidden(tab)
    first = await inbox.world.create_prompt(confirm("First?"))
    for tab in (page, other):
        await expect_title(tab, "(1) Askback")
    await expect_open(page, 1)
    # The other one has no turn. When the person looks at it, the news ends in both.
    assert await shown(other) == []
    await hidden(other, is_hidden=False)
    await expect_open(page, 0)
    await inbox.world.create_prompt(confirm("Second?"))
    await expect_title(page, "(2) Askback")
    await expect_title(other, "(2) Askback")
    await hidden(other)
    # The tab that had the turn is closed: the next one takes it.
    await page.close()
    await inbox.world.as_user("ben").hitl.AnswerPrompt(answer(first))
    await inbox.world.create_prompt(confirm("Third?"))
    await expect_open(other, 1)
    assert await shown(other) == ["Third?|Confirmation · 2 questions wait"]


async def test_a_tab_that_is_looked_at_is_enough(inbox: Inbox, page: Page) -> None:
    other = await inbox.tab(page.context)
    await live(other)
    await hidden(page)
    await inbox.world.create_prompt(confirm("Seen?"))
    await expect_title(page, "(1) Askback")
    # Behind it the page asks in the same way whether the person looks at a tab.
    await page.evaluate("navigator.locks.query().then(() => 1)")
    await hidden(other)
    await inbox.world.create_prompt(confirm("Not seen?"))
    await expect_open(page, 1)
    assert await shown(page) == ["Not seen?|Confirmation · 2 questions wait"]


async def test_a_setting_of_one_tab_holds_in_the_others(inbox: Inbox, page: Page) -> None:
    other = await inbox.tab(page.context, "/settings")
    await live(other)
    box = other.get_by_role("checkbox", name="Desktop notification")
    await expect(box).to_be_checked()
    await page.get_by_role("link", name="Settings").click()
    await page.get_by_role("checkbox", name="Desktop notification").uncheck()
    await expect(box).not_to_be_checked()


async def test_a_refusal_of_the_browser_is_explained(inbox: Inbox) -> None:
    page = await inbox.tab(await browser_of(inbox, allowed=False), "/settings")
    session = await page.context.new_cdp_session(page)
    denied = {"permission": {"name": "notifications"}, "setting": "denied", "origin": inbox.origin}
    await session.send("Browser.setPermission", denied)
    box = page.get_by_role("checkbox", name="Desktop notification")
    await expect(page.locator("#notices-blocked")).to_have_text("")
    await box.click()
    await expect(page.locator("#notices-blocked")).to_contain_text("This browser blocks notifications")
    await expect(box).not_to_be_checked()
    assert await axe(page) == []


@pytest.mark.parametrize("answered", ["denied", "default"])
async def test_a_browser_that_never_replies_leaves_the_choice_off(inbox: Inbox, answered: str) -> None:
    """A box that stays ticked meanwhile promises what will not come."""
    page = await inbox.tab(await browser_of(inbox, allowed=False), "/settings")
    await page.evaluate(
        """(answered) => {
          Notification.requestPermission = () => new Promise(() => {});
          Object.defineProperty(Notification, "permission", {get: () => answered});
        }""",
        answered,
    )
    box = page.get_by_role("checkbox", name="Desktop notification")
    await box.click()
    text = {"denied": "This browser blocks notifications", "default": "Your browser asks"}
    await expect(page.locator("#notices-blocked")).to_contain_text(text[answered])
    await expect(box).not_to_be_checked()


async def test_the_browser_is_asked_in_the_click(inbox: Inbox) -> None:
    page = await inbox.tab(await browser_of(inbox, allowed=False), "/settings")
    await page.evaluate("""() => {
      Notification.requestPermission = async () => {
        window.asked = window.event?.type;
        return "granted";
      };
    }""")
    assert await page.evaluate("window.asked") is None
    await page.get_by_role("checkbox", name="Desktop notification").check()
    assert await page.evaluate("window.asked") == "change"
    await page.get_by_role("button", name="Show one").click()


async def test_a_tone_is_off_until_it_is_wanted_and_has_a_volume(inbox: Inbox) -> None:
    page = await inbox.tab(await browser_of(inbox))
    await live(page)
    await page.get_by_role("link", name="Settings").click()
    sound = page.get_by_role("checkbox", name="Sound")
    await expect(sound).not_to_be_checked()
    await sound.check()
    await page.get_by_role("slider", name="Volume").fill("25")
    await page.get_by_role("button", name="Play it").click()
    await page.wait_for_function("() => notes.length === 2")
    assert await page.evaluate("loudest") == pytest.approx(0.1)
    await hidden(page)
    await inbox.world.create_prompt(confirm("Go?"))
    await page.wait_for_function("() => notes.length === 4")
    assert await page.evaluate("loudest") == pytest.approx(0.1)
    # No notification comes with it: that is a setting of its own.
    assert await shown(page) == []


async def test_the_title_says_what_waits_where_that_is_wanted(inbox: Inbox) -> None:
    page = await inbox.tab(await browser_of(inbox))
    await live(page)
    await turn_on(page, "Question in the tab’s title")
    first = await inbox.world.create_prompt(confirm("First\u202e?"))
    await expect_title(page, "(1) Askback")
    await hidden(page)
    await inbox.world.create_prompt(confirm("Second?"))
    await expect_title(page, "(2) Second? – Askback")
    await hidden(page, is_hidden=False)
    await expect_title(page, "(2) Askback")
    await page.locator(f'[data-open="{first.prompt_id}"]').click()
    await expect_title(page, "(2) First<U+202E>? – Askback")
    await inbox.world.as_user("ben").hitl.AnswerPrompt(answer(first))
    await expect_title(page, "(1) Askback")
