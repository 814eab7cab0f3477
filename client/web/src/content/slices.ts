// Does long work in slices, so that the browser can paint and take input between them.

import { useEffect, useMemo, useState } from "preact/hooks";

/** Duration of a slice, in milliseconds. The last step of a slice may take it beyond that. */
export const SLICE_MS = 8;

export interface Clock {
  now(): number;
  /** Calls `go` once, after the browser has handled its other tasks. */
  later(go: () => void): void;
}

const browserClock: Clock = {
  now: () => performance.now(),
  later: (go) => void setTimeout(go, 0),
};

/** Work in progress. `result` is null until it is done. */
export class Slices<T> {
  result: T | null = null;
  #stopped = false;

  constructor(
    private readonly work: Generator<void, T>,
    private readonly clock: Clock = browserClock,
  ) {}

  /** Works for one slice. Returns true when the work is done. */
  slice(): boolean {
    const end = this.clock.now() + SLICE_MS;
    while (this.result === null && !this.#stopped) {
      const step = this.work.next();
      if (step.done) this.result = step.value;
      else if (this.clock.now() >= end) break;
    }
    return this.result !== null;
  }

  /** Works slice by slice, then calls `done`; never after `stop`. */
  finish(done: () => void): void {
    if (this.#stopped) return;
    if (this.slice()) done();
    else if (!this.#stopped) this.clock.later(() => this.finish(done));
  }

  stop(): void {
    this.#stopped = true;
  }
}

/** The result of work that is done in slices; null until it is done. The first slice runs before the first paint. */
export function useSlices<T>(begin: () => Generator<void, T>, inputs: readonly unknown[]): T | null {
  const [, paint] = useState({});
  const slices = useMemo(() => {
    const begun = new Slices(begin());
    begun.slice();
    return begun;
  }, inputs);
  useEffect(() => {
    if (slices.result !== null) return undefined;
    slices.finish(() => paint({}));
    return () => slices.stop();
  }, [slices]);
  return slices.result;
}

/** Number of items to show, out of `total`: `step` at first, and `step` more after each task. */
export function useGrowing(total: number, step: number): number {
  const [shown, setShown] = useState(step);
  useEffect(() => {
    if (shown >= total) return undefined;
    const timer = setTimeout(() => setShown(shown + step), 0);
    return () => clearTimeout(timer);
  }, [shown, total, step]);
  return Math.min(shown, total);
}

/** Loads that failed. */
const failures = new Set<() => void>();

/** Load again what could not be loaded: the connection is back. */
export function loadAgain(): void {
  for (const again of [...failures]) again();
}

/** A module that is loaded when it is first needed: null while it loads, "failed" if that fails, until `loadAgain`. */
export function useLazy<M>(load: () => Promise<M>): M | "failed" | null {
  const [found, setFound] = useState<{ readonly module: M | "failed" } | null>(null);
  useEffect(() => {
    let isShown = true;
    const attempt = () => {
      failures.delete(attempt);
      load().then(
        (module) => isShown && setFound({ module }),
        () => {
          if (!isShown) return;
          failures.add(attempt);
          setFound({ module: "failed" });
        },
      );
    };
    attempt();
    return () => {
      isShown = false;
      failures.delete(attempt);
    };
  }, [load]);
  return found === null ? null : found.module;
}
