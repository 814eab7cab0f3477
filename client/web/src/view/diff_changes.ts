// The changes of the diffs in the detail pane, in the order of the screen, and the way from one to the next.

import { signal } from "@preact/signals";
import { t } from "../words/later";
import { announce } from "./live";

/** How many changes the diffs on the screen have. */
export const changes = signal(0);
/** How many unchanged lines of them are folded. */
export const folded = signal(0);
/** The change that was shown last. */
let shown: Element | null = null;

/** How long a pane must stay as it is: a diff of 60,000 lines grows in 1,000 steps, and a count looks at all of them. */
const QUIET_MS = 100;

/** Those that are shown: not those of a section that is closed. */
function found(attribute = "data-change"): readonly Element[] {
  return [...document.querySelectorAll(`#detail-scroll [${attribute}]:not(details:not([open]) *)`)];
}

/** Count the changes in a pane when its diffs have grown or closed. Returns a function that stops it. */
export function followChanges(pane: HTMLElement): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const count = () => {
    changes.value = found().length;
    const folds = found("data-folded").map((element) => Number(element.getAttribute("data-folded")));
    folded.value = folds.reduce((sum, lines) => sum + lines, 0);
  };
  const plan = () => {
    clearTimeout(timer);
    timer = setTimeout(count, QUIET_MS);
  };
  const watch = new MutationObserver(plan);
  watch.observe(pane, { childList: true, subtree: true, attributes: true, attributeFilter: ["open"] });
  plan();
  return () => {
    watch.disconnect();
    clearTimeout(timer);
    changes.value = 0;
    folded.value = 0;
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
