// Long work in slices, between which the browser can paint and take input.

import { useEffect, useMemo, useState } from "preact/hooks";

/** How long one slice may take, in milliseconds. A step that has begun is finished. */
export const SLICE_MS = 8;

export interface Clock {
  now(): number;
  /** Calls `go` once, after the browser had its turn. */
  later(go: () => void): void;
}

const browserClock: Clock = {
  now: () => performance.now(),
  later: (go) => void setTimeout(go, 0),
};

/** Work that was begun: `result` is there as soon as it is done. */
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

/** The result of a work in slices, or null while it lasts. Short work is done before the first paint. */
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

/** How many of `total` things to show: `step` at first, and `step` more after each paint. */
export function useGrowing(total: number, step: number): number {
  const [shown, setShown] = useState(step);
  useEffect(() => {
    if (shown >= total) return undefined;
    const timer = setTimeout(() => setShown(shown + step), 0);
    return () => clearTimeout(timer);
  }, [shown, total, step]);
  return Math.min(shown, total);
}

/** A module that is loaded when it is first needed: null while it loads, "failed" without it. */
export function useLazy<M>(load: () => Promise<M>): M | "failed" | null {
  const [found, setFound] = useState<{ readonly module: M | "failed" } | null>(null);
  useEffect(() => {
    let isShown = true;
    load().then(
      (module) => isShown && setFound({ module }),
      () => isShown && setFound({ module: "failed" }),
    );
    return () => {
      isShown = false;
    };
  }, [load]);
  return found === null ? null : found.module;
}
