import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";
import { SeenPart, visibleRange } from "./seen_lines";

interface Seen {
  /** Whether all of the content was on the screen. */
  readonly complete: boolean;
  /** Approximate number of lines that were not: below the screen, folded, or not rendered yet. */
  readonly hiddenLines: number;
}

const NOT_MEASURED: Seen = { complete: false, hiddenLines: 0 };
const NOTHING_HIDDEN: Seen = { complete: true, hiddenLines: 0 };
const USUAL_LINE = 20;

/**
 * Whether all of an element was on the screen. `key` identifies its content: a new key, such as that of another prompt
 * or revision, resets the result. Blocks have the attribute `data-seen` (without any, the element is the block), and
 * `data-withheld` is the number of lines behind a button.
 */
export function useSeen(ref: RefObject<HTMLElement>, key = ""): Seen {
  const [seen, setSeen] = useState<Seen>(NOT_MEASURED);
  useEffect(() => {
    const root = ref.current;
    setSeen(NOT_MEASURED);
    if (root === null) return undefined;
    const watch = new SeenWatch(root, (found) =>
      setSeen((before) => (isSame(before, found) ? before : found)),
    );
    return () => watch.stop();
  }, [ref, key]);
  return seen;
}

function isSame(seen: Seen, other: Seen): boolean {
  return seen.complete === other.complete && seen.hiddenLines === other.hiddenLines;
}

class SeenWatch {
  /** The outermost blocks, with their visible parts and their height at the last measurement. */
  readonly #blocks = new Map<Element, { readonly part: SeenPart; height: number }>();
  readonly #near = new Set<Element>();
  readonly #mutations = new MutationObserver(() => this.#plan());
  // Called when a block gets its real height, which `content-visibility` only estimates while it is off the screen.
  readonly #sizes = new ResizeObserver(() => this.#plan());
  readonly #positions = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.#near.add(target);
      else this.#near.delete(target);
    }
    this.#plan();
  });
  #frame = 0;

  constructor(
    private readonly root: HTMLElement,
    private readonly tell: (seen: Seen) => void,
  ) {
    this.#mutations.observe(root, {
      childList: true,
      subtree: true,
      attributes: true,
      attributeFilter: ["data-withheld"],
    });
    // Scroll events do not bubble, but are captured on their way down, whichever element scrolls.
    document.addEventListener("scroll", this.#plan, { capture: true, passive: true });
    document.addEventListener("visibilitychange", this.#plan);
    window.addEventListener("resize", this.#plan);
    this.#plan();
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
    for (const observer of [this.#mutations, this.#sizes, this.#positions]) observer.disconnect();
    document.removeEventListener("scroll", this.#plan, { capture: true });
    document.removeEventListener("visibilitychange", this.#plan);
    window.removeEventListener("resize", this.#plan);
  }

  readonly #plan = (): void => {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(this.#measure);
  };

  readonly #measure = (): void => {
    this.#frame = 0;
    if (document.visibilityState !== "visible") return;
    this.#find();
    const clips = clipsOf(this.root);
    for (const element of this.#near) {
      const block = this.#blocks.get(element);
      if (block === undefined) continue;
      const box = element.getBoundingClientRect();
      block.part.add(box.height, ...visibleRange(box, clips));
      block.height = box.height;
    }
    let pixels = 0;
    for (const { part, height } of this.#blocks.values()) pixels += part.unseen(height);
    let lines = 0;
    for (const each of this.root.querySelectorAll<HTMLElement>("[data-withheld]")) {
      lines += Number(each.dataset.withheld) || 0;
    }
    const hiddenLines = Math.ceil(pixels / lineHeight(this.root)) + lines;
    this.tell(hiddenLines === 0 ? NOTHING_HIDDEN : { complete: false, hiddenLines });
  };

  /** Observes new blocks, and stops observing removed ones. */
  #find(): void {
    const found = [...this.root.querySelectorAll("[data-seen]")];
    const isBlock = (element: Element) =>
      element === this.root ? found.length === 0 : this.root.contains(element);
    for (const element of this.#blocks.keys()) {
      if (isBlock(element)) continue;
      this.#blocks.delete(element);
      this.#near.delete(element);
      this.#sizes.unobserve(element);
      this.#positions.unobserve(element);
    }
    for (const element of found.length > 0 ? found : [this.root]) {
      if (this.#blocks.has(element) || isInBlock(element, this.root)) continue;
      this.#blocks.set(element, { part: new SeenPart(), height: element.getBoundingClientRect().height });
      this.#sizes.observe(element);
      this.#positions.observe(element);
    }
  }
}

function isInBlock(element: Element, root: Element): boolean {
  const outer = element.parentElement?.closest("[data-seen]");
  return outer !== null && outer !== undefined && root.contains(outer);
}

/** The boxes that may clip an element: the window, and the elements around it that scroll or hide their overflow. */
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
