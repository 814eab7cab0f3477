import { setTimeout as timer } from "node:timers/promises";

const FIRST_PAUSE = 100;
const LONG_PAUSE = 5_000;

/**
 * Pauses with full jitter, in milliseconds: from zero to a bound that doubles with every failure,
 * so that a thousand clients do not reconnect to a restarted server at the same time.
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

/** Wait, but at most until the signal is aborted. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await timer(ms, undefined, { signal }).catch(() => undefined);
}
