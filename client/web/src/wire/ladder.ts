import type { Random } from "./environment";

const CAPS_MS = [1000, 1000, 2000, 4000, 8000, 16_000, 30_000];

/**
 * The waits between attempts: random from 0 to 1, 1, 2, 4, 8, 16 and 30 s. Full jitter, on the first wait too: a
 * proxy that restarts brings all its clients back at once.
 */
export class Ladder {
  #step = 0;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Ms until the next attempt: at least `floorMs`, and the jitter comes on top of it. */
  next(floorMs = 0): number {
    const cap = CAPS_MS[Math.min(this.#step, CAPS_MS.length - 1)] as number;
    this.#step += 1;
    return floorMs + this.#random() * cap;
  }

  reset(): void {
    this.#step = 0;
  }
}
