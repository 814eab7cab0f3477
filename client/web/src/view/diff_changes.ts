// The changes of the diffs in the detail pane, in the order of the screen, and the way from one to the next.

import { signal } from "@preact/signals";
import { t } from "../words/later";
import { announce } from "./live";

/** How many changes the diffs on the screen have. */
export const changes = signal(0);
/** The change that was shown last. */
let shown: Element | null = null;

/** Those that are laid out: not those of a section that is closed. */
function found(): readonly Element[] {
  const all = document.querySelectorAll("#detail-scroll [data-change]");
  return [...all].filter((element) => element.checkVisibility());
}

/** Count the changes in a pane while its diffs grow and close. Returns a function that stops it. */
export function followChanges(pane: HTMLElement): () => void {
  let frame = 0;
  const count = () => {
    frame = 0;
    changes.value = found().length;
  };
  const plan = () => {
    if (frame === 0) frame = requestAnimationFrame(count);
  };
  const watch = new MutationObserver(plan);
  watch.observe(pane, { childList: true, subtree: true, attributes: true, attributeFilter: ["open"] });
  plan();
  return () => {
    watch.disconnect();
    cancelAnimationFrame(frame);
    changes.value = 0;
    shown = null;
  };
}

/** Show the change after the last one that was shown; after the last of all, the first. */
export function showNextChange(): void {
  const all = found();
  const place = shown === null ? 0 : (all.indexOf(shown) + 1) % all.length;
  const next = all[place];
  if (next === undefined) return;
  shown?.removeAttribute("data-at");
  shown = next;
  next.setAttribute("data-at", "");
  next.scrollIntoView({ block: "start" });
  announce(t("change.at", { place: place + 1, n: all.length }));
}
