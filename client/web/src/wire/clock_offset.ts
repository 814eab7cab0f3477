import type { Clock } from "./environment";

const SAMPLES = 8;

/**
 * The time of the service. The offset is the largest of the last eight differences between a heartbeat's time and
 * its receipt: the least delayed frame is the most exact one. Receipts are measured by the clock that never jumps.
 */
export class ClockOffset {
  readonly #clock: Clock;
  #samples: number[] = [];
  #offset: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offset = clock.wall() - clock.now();
  }

  /** Takes the time of a frame that has just come. */
  sample(serverTime: string): void {
    const time = Date.parse(serverTime);
    if (Number.isNaN(time)) {
      return;
    }
    this.#samples = [...this.#samples, time - this.#clock.now()].slice(-SAMPLES);
    this.#offset = Math.max(...this.#samples);
  }

  /**
   * The machine's clock jumped by `ms` against the running one. Forward it is most often a sleep, through which the
   * running clock may stand still. The next heartbeat says the truth, so the old samples are dropped.
   */
  jumped(ms: number): void {
    this.#samples = [];
    if (ms > 0) {
      this.#offset += ms;
    }
  }

  /** Unix time in ms by the service's clock. */
  now(): number {
    return this.#clock.now() + this.#offset;
  }
}
