import type { Clock } from "./environment";

const TOLERANCE_MS = 2000;

/** Notices that the machine's clock jumped against the running clock: a sleep, or a clock that was set. */
export class WallWatch {
  readonly #clock: Clock;
  #difference: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#difference = clock.wall() - clock.now();
  }

  /** Ms of the jump since the last call; 0 for up to 2 s, by which time servers correct a clock. */
  jump(): number {
    const difference = this.#clock.wall() - this.#clock.now();
    const jump = difference - this.#difference;
    this.#difference = difference;
    return Math.abs(jump) > TOLERANCE_MS ? jump : 0;
  }
}
