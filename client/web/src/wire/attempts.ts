import type { Clock, Random } from "./environment";
import { Ladder } from "./ladder";

/** The least time between two attempts that do not wait for the ladder. */
const AT_ONCE_MS = 1000;

/** Decides when the next attempt to connect is made. At most one is planned. */
export class Attempts {
  readonly #clock: Clock;
  readonly #ladder: Ladder;
  readonly #attempt: () => void;
  #lastAt = Number.NEGATIVE_INFINITY;
  #cancel = () => {};

  constructor(clock: Clock, random: Random, attempt: () => void) {
    this.#clock = clock;
    this.#ladder = new Ladder(random);
    this.#attempt = attempt;
  }

  /** An attempt is made now: plans none any more. */
  begun(): void {
    this.#cancel();
    this.#lastAt = this.#clock.now();
  }

  /** Without the ladder's wait, but at most once in a second. */
  soon(): void {
    this.#plan(Math.max(0, this.#lastAt + AT_ONCE_MS - this.#clock.now()));
  }

  later(floorMs = 0): void {
    this.#plan(this.#ladder.next(floorMs));
  }

  within(ms: number): void {
    this.#plan(ms);
  }

  cancel(): void {
    this.#cancel();
  }

  /** Only a view that has caught up proves that the server is well again. */
  resetLadder(): void {
    this.#ladder.reset();
  }

  #plan(ms: number): void {
    this.#cancel();
    if (ms === 0) {
      this.#attempt();
    } else {
      this.#cancel = this.#clock.after(ms, this.#attempt);
    }
  }
}
