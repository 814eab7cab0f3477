// The focus never falls to the body. Where a focused element leaves the page, the focus goes back to where it last was in a
// pane, so that keys act there again after a window or the connection strip; or to the title of the pane. Where a text
// leaves while a person writes in it, the rest of the sentence must not act as keys: the focus goes to what keeps the
// text, or letters wait until the person has moved the focus.

import { isSend, takesText } from "./press";
import { focusMoved } from "./steady";

/** Watch the focus. Returns a function that stops it. */
export function startFocusGuard(): () => void {
  let last: Element | null = null;
  let home: Element | null = null;
  let lastAtHome: Element | null = null;
  let hasSent = false;
  const remember = () => {
    last = document.activeElement;
    const pane = last?.closest("[data-focus-home]") ?? null;
    if (pane === null) return;
    home = pane;
    lastAtHome = last;
  };
  const repair = () => {
    if (document.activeElement !== document.body && document.activeElement !== null) return;
    if (last === null || last === document.body || isThere(last)) return;
    if (lastAtHome instanceof HTMLElement && isThere(lastAtHome)) {
      lastAtHome.focus({ preventScroll: true });
      return;
    }
    const place = home !== null && isThere(home) ? home : visibleHome();
    const wasWriting = last === lastAtHome && last instanceof HTMLElement && takesText(last) && !hasSent;
    const kept = wasWriting ? place?.querySelector<HTMLElement>("[data-kept-text]") : undefined;
    focusMoved.value = wasWriting && !kept;
    (kept ?? place?.querySelector<HTMLElement>("h1[tabindex]"))?.focus({ preventScroll: true });
  };
  const onKey = (event: KeyboardEvent) => {
    hasSent = isSend(event);
    if (event.key === "Tab" || event.key === "Escape") focusMoved.value = false;
  };
  // Enter in a field of a form sends it: who has signed in writes no longer.
  const onSubmit = () => {
    hasSent = true;
  };
  const onPointer = () => {
    focusMoved.value = false;
  };
  const observer = new MutationObserver(repair);
  observer.observe(document.body, { childList: true, subtree: true });
  document.addEventListener("focusin", remember);
  addEventListener("keydown", onKey, true);
  addEventListener("submit", onSubmit, true);
  addEventListener("pointerdown", onPointer, true);
  return () => {
    observer.disconnect();
    document.removeEventListener("focusin", remember);
    removeEventListener("keydown", onKey, true);
    removeEventListener("submit", onSubmit, true);
    removeEventListener("pointerdown", onPointer, true);
  };
}

function isThere(element: Element): boolean {
  return element.isConnected && element.getClientRects().length > 0;
}

function visibleHome(): Element | null {
  const homes = [...document.querySelectorAll("[data-focus-home]")];
  return homes.reverse().find(isThere) ?? null;
}
