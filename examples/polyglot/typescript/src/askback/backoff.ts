import { setTimeout as timer } from "node:timers/promises";

const FIRST_PAUSE = 100;
const LONG_PAUSE = 5_000;

/**
 * Pauses with full jitter, in milliseconds: anything between nothing and a bound that doubles with every failure, so
 * that a thousand clients of a restarted server do not come back in step.
 */
export class Backoff {
  private failures = 0;

  next(): number {
    const bound = Math.min(LONG_PAUSE, FIRST_PAUSE * 2 ** this.failures++);
    return Math.random() * bound;
  }

  reset(): void {
    this.failures = 0;
  }
}

/** Wait, at most until the signal is given. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await timer(ms, undefined, { signal }).catch(() => undefined);
}
