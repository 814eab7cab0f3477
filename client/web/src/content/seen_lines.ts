// Records which parts of the content were on the screen. `use_seen.ts` measures them in the DOM.

/**
 * The height, estimated from its lines, of a block that the browser does not lay out while it is off the screen.
 * With one height for all blocks, ten unseen lines would be reported as forty.
 */
export function estimatedHeight(lines: number): { readonly containIntrinsicBlockSize: string } {
  return { containIntrinsicBlockSize: `auto ${lines * 1.5}em` };
}

/** The ranges of one block that were visible, in pixels from its top. */
export class SeenPart {
  #height = 0;
  #ranges: (readonly [number, number])[] = [];

  /** Records that the block, now `height` high, is visible from `top` to `bottom`. */
  add(height: number, top: number, bottom: number): void {
    this.#resize(height);
    const [from, to] = [Math.max(top, 0), Math.min(bottom, height)];
    if (to <= from) return;
    const joined = [...this.#ranges, [from, to] as const].sort(([a], [b]) => a - b);
    this.#ranges = [];
    for (const [begin, end] of joined) {
      const last = this.#ranges.at(-1);
      if (last !== undefined && begin <= last[1] + SLACK) {
        this.#ranges[this.#ranges.length - 1] = [last[0], Math.max(last[1], end)];
      } else {
        this.#ranges.push([begin, end]);
      }
    }
  }

  /** How many pixels of the block, now `height` high, were never visible. */
  unseen(height: number): number {
    this.#resize(height);
    const seen = this.#ranges.reduce((sum, [from, to]) => sum + to - from, 0);
    return height - seen <= SLACK ? 0 : height - seen;
  }

  /** Scales the visible ranges when the block's layout, and so its height, has changed. */
  #resize(height: number): void {
    if (this.#height > 0 && Math.abs(height - this.#height) > SLACK) {
      const ratio = height / this.#height;
      this.#ranges = this.#ranges.map(([from, to]) => [from * ratio, to * ratio]);
    }
    this.#height = height;
  }
}

/** Pixels: positions are fractions, and a border belongs to no line. */
const SLACK = 2;

/** The part of a block that is visible, from its top, where `clips` are the boxes that cut it off. */
export function visibleRange(
  block: { readonly top: number; readonly bottom: number },
  clips: readonly { readonly top: number; readonly bottom: number }[],
): readonly [number, number] {
  const top = Math.max(block.top, ...clips.map((clip) => clip.top));
  const bottom = Math.min(block.bottom, ...clips.map((clip) => clip.bottom));
  return [top - block.top, bottom - block.top];
}
