// The answer bar stays above the on-screen keyboard, where the browser lays the keyboard over the page.

/** Measure the keyboard. Returns a function that stops it. */
export function startScreenKeyboard(): () => void {
  const view = window.visualViewport;
  if (view === null) return () => undefined;
  const measure = () => {
    // Pinch zoom makes the visible part smaller too, and is no keyboard.
    const covered = view.scale > 1 ? 0 : Math.max(0, window.innerHeight - view.height - view.offsetTop);
    document.documentElement.style.setProperty("--keyboard", `${Math.round(covered)}px`);
  };
  view.addEventListener("resize", measure);
  view.addEventListener("scroll", measure);
  return () => {
    view.removeEventListener("resize", measure);
    view.removeEventListener("scroll", measure);
  };
}
