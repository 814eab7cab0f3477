"""What tells a person who looks elsewhere: the tab's title, the icon, a notification, a tone.

Headless Chromium has no notification centre and hides no page. So the notifications are Chromium's own,
remembered by a subclass, and a test clicks one by sending it the event; and a script says that a page is
hidden and draws nothing.
"""

from playwright.async_api import BrowserContext, Page

from tests.support.browser import Inbox, live

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


async def open_page(inbox: Inbox) -> Page:
    """A live page in which notifications are on."""
    page = await inbox.tab(await browser_of(inbox))
    await live(page)
    await turn_on(page, "Desktop notification")
    return page
