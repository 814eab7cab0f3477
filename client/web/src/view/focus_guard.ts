// The focus never falls to the body. Where a focused element leaves the page, the focus goes back to where it last was in a
// pane, so that keys act there again after a window or the connection strip; or to the title of the pane.

/** Watch the focus. Returns a function that stops it. */
export function startFocusGuard(): () => void {
  let last: Element | null = null;
  let home: Element | null = null;
  let lastAtHome: Element | null = null;
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
    place?.querySelector<HTMLElement>("h1[tabindex]")?.focus({ preventScroll: true });
  };
  const observer = new MutationObserver(repair);
  observer.observe(document.body, { childList: true, subtree: true });
  document.addEventListener("focusin", remember);
  return () => {
    observer.disconnect();
    document.removeEventListener("focusin", remember);
  };
}

function isThere(element: Element): boolean {
  return element.isConnected && element.getClientRects().length > 0;
}

function visibleHome(): Element | null {
  const homes = [...document.querySelectorAll("[data-focus-home]")];
  return homes.reverse().find(isThere) ?? null;
}
