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

/** How long a pane must stay as it is: a diff of 60,000 lines grows in 1,000 steps, and a count looks at all changes. */
const QUIET_MS = 100;

/** Those that are shown: not those of a section that is closed. By a selector, which needs no layout. */
function found(attribute: string): readonly Element[] {
  return [...document.querySelectorAll(`#detail-scroll [${attribute}]:not(details:not([open]) *)`)];
}

/** Count what a pane has while its diffs grow, fold and close. Returns a function that stops it. */
export function followChanges(pane: HTMLElement): () => void {
  let frame = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const countFolded = () => {
    frame = 0;
    const lines = found("data-folded").map((element) => Number(element.getAttribute("data-folded")));
    folded.value = lines.reduce((sum, each) => sum + each, 0);
  };
  const countChanges = () => {
    changes.value = found("data-change").length;
  };
  const plan = () => {
    // At once: it is part of what the page says about the text that was seen.
    if (frame === 0) frame = requestAnimationFrame(countFolded);
    clearTimeout(timer);
    timer = setTimeout(countChanges, QUIET_MS);
  };
  const watch = new MutationObserver(plan);
  watch.observe(pane, {
    childList: true,
    subtree: true,
    attributes: true,
    attributeFilter: ["open", "data-folded"],
  });
  plan();
  return () => {
    watch.disconnect();
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    changes.value = 0;
    folded.value = 0;
    shown = null;
  };
}

/** Show the change after the last one that was shown; after the last of all, the first. */
export function showNextChange(): void {
  const all = found("data-change");
  const place = shown === null ? 0 : (all.indexOf(shown) + 1) % all.length;
  const next = all[place];
  if (next === undefined) return;
  shown?.removeAttribute("data-at");
  shown = next;
  next.setAttribute("data-at", "");
  next.scrollIntoView({ block: "start" });
  announce(t("change.at", { place: place + 1, n: all.length }));
}
