// Which part of a content was on the screen, in pixels of its own height. No DOM here: see use_seen.ts.

/** The parts of one block that were visible, from its top. */
/**
 * The style of a block that is not laid out while it is off the screen: its height by its number of lines. Without it
 * each block counts with one guess, and ten lines would be reported as forty.
 */
export function guessedHeight(lines: number): { readonly containIntrinsicBlockSize: string } {
  return { containIntrinsicBlockSize: `auto ${lines * 1.5}em` };
}

export class SeenPart {
  #height = 0;
  #ranges: (readonly [number, number])[] = [];

  /** Notes that the block, now `height` high, is visible from `top` to `bottom`. */
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

  /** A block that was laid out differently keeps what was seen in proportion. */
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
