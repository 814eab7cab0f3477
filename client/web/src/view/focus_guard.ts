// The focus never falls to the body: where a focused element leaves the page, its pane takes the focus.

/** Watch the focus. Returns a function that stops it. */
export function startFocusGuard(): () => void {
  let last: Element | null = null;
  let home: Element | null = null;
  const remember = () => {
    last = document.activeElement;
    home = last?.closest("[data-focus-home]") ?? home;
  };
  const repair = () => {
    if (document.activeElement !== document.body && document.activeElement !== null) return;
    if (last === null || last === document.body || (last.isConnected && isVisible(last))) return;
    const place = home?.isConnected === true && isVisible(home) ? home : visibleHome();
    const target = place?.querySelector<HTMLElement>("h1[tabindex]") ?? null;
    target?.focus({ preventScroll: true });
  };
  const observer = new MutationObserver(repair);
  observer.observe(document.body, { childList: true, subtree: true });
  document.addEventListener("focusin", remember);
  return () => {
    observer.disconnect();
    document.removeEventListener("focusin", remember);
  };
}

function isVisible(element: Element): boolean {
  return element.getClientRects().length > 0;
}

function visibleHome(): Element | null {
  const homes = [...document.querySelectorAll("[data-focus-home]")];
  return homes.reverse().find(isVisible) ?? null;
}
