import type { Clock } from "../../src/wire/environment";

/** Lets everything run that waits for no time. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Time that passes only when a test says so. */
export class FakeClock implements Clock {
  #now = 1000;
  #wall = Date.parse("2026-11-29T09:00:00Z");
  #timers: { at: number; order: number; run: () => void }[] = [];
  #order = 0;

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#wall;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, order: this.#order++, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  /** Passes time, and runs the timers of that time one after another. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const [next] = this.#timers
        .filter(({ at }) => at <= end)
        .sort((a, b) => a.at - b.at || a.order - b.order);
      if (!next) {
        break;
      }
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#pass(Math.max(next.at, this.#now) - this.#now);
      next.run();
      await settle();
    }
    this.#pass(end - this.#now);
  }

  /** The machine sleeps: its clock runs on, the running clock and all timers stand still. */
  sleep(ms: number): void {
    this.#wall += ms;
  }

  /** A person or a time server sets the machine's clock. */
  set(ms: number): void {
    this.#wall += ms;
  }

  /** Time passes and no timer runs: a hidden page whose timers are throttled, or a blocked main thread. */
  freeze(ms: number): void {
    this.#pass(ms);
  }

  get timers(): number {
    return this.#timers.length;
  }

  #pass(ms: number): void {
    this.#now += ms;
    this.#wall += ms;
  }
}

/** Random numbers that repeat: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
