import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";
import { SeenPart, visibleRange } from "./seen_lines";

export interface Seen {
  /** Whether all of the content was on the screen. */
  readonly complete: boolean;
  /** About how many lines were not: what was not scrolled to, what is folded, and what is not shown yet. */
  readonly hiddenLines: number;
}

const NOTHING_HIDDEN: Seen = { complete: true, hiddenLines: 0 };
const USUAL_LINE = 20;

/**
 * Whether a person had all of an element on the screen. `key` names what it shows: with another key, such as another
 * prompt or revision, it begins again. Blocks have the attribute `data-seen`; `data-withheld` counts lines that are
 * behind a button.
 */
export function useSeen(ref: RefObject<HTMLElement>, key = ""): Seen {
  const [seen, setSeen] = useState<Seen>(NOTHING_HIDDEN);
  useEffect(() => {
    const root = ref.current;
    if (root === null) return undefined;
    const watch = new SeenWatch(root, (found) =>
      setSeen((before) => (before.hiddenLines === found.hiddenLines ? before : found)),
    );
    return () => watch.stop();
  }, [ref, key]);
  return seen;
}

class SeenWatch {
  readonly #parts = new WeakMap<Element, SeenPart>();
  readonly #mutations: MutationObserver;
  readonly #sizes: ResizeObserver;
  #frame = 0;

  constructor(
    private readonly root: HTMLElement,
    private readonly tell: (seen: Seen) => void,
  ) {
    this.#mutations = new MutationObserver(this.#plan);
    this.#mutations.observe(root, {
      childList: true,
      subtree: true,
      attributes: true,
      attributeFilter: ["data-withheld"],
    });
    this.#sizes = new ResizeObserver(this.#plan);
    this.#sizes.observe(root);
    // Scroll events do not bubble, but are captured on their way down, whichever element scrolls.
    document.addEventListener("scroll", this.#plan, { capture: true, passive: true });
    document.addEventListener("visibilitychange", this.#plan);
    window.addEventListener("resize", this.#plan);
    this.#plan();
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
    this.#mutations.disconnect();
    this.#sizes.disconnect();
    document.removeEventListener("scroll", this.#plan, { capture: true });
    document.removeEventListener("visibilitychange", this.#plan);
    window.removeEventListener("resize", this.#plan);
  }

  readonly #plan = (): void => {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(this.#measure);
  };

  readonly #measure = (): void => {
    if (document.visibilityState !== "visible") return;
    const clips = clipsOf(this.root);
    let pixels = 0;
    for (const block of this.root.querySelectorAll("[data-seen]")) {
      const box = block.getBoundingClientRect();
      const part = this.#parts.get(block) ?? new SeenPart();
      this.#parts.set(block, part);
      part.add(box.height, ...visibleRange(box, clips));
      pixels += part.unseen(box.height);
    }
    let lines = 0;
    for (const each of this.root.querySelectorAll<HTMLElement>("[data-withheld]")) {
      lines += Number(each.dataset.withheld) || 0;
    }
    const hiddenLines = Math.ceil(pixels / lineHeight(this.root)) + lines;
    this.tell(hiddenLines === 0 ? NOTHING_HIDDEN : { complete: false, hiddenLines });
  };
}

/** The boxes that cut an element off: the window, and what scrolls around it. */
function clipsOf(element: HTMLElement): { readonly top: number; readonly bottom: number }[] {
  const clips = [{ top: 0, bottom: window.innerHeight }];
  for (
    let each: HTMLElement | null = element;
    each !== null && each !== document.body;
    each = each.parentElement
  ) {
    if (/auto|scroll|hidden|clip/.test(getComputedStyle(each).overflowY)) {
      const { top, bottom } = each.getBoundingClientRect();
      clips.push({ top, bottom });
    }
  }
  return clips;
}

function lineHeight(element: HTMLElement): number {
  return Number.parseFloat(getComputedStyle(element).lineHeight) || USUAL_LINE;
}
