// Dead time: a press within 300 ms of a change of what it would act on does nothing.

import { signal } from "@preact/signals";

/** How long people need to notice that something changed under their finger, in milliseconds. */
export const DEAD_MS = 300;

let changedAt = Number.NEGATIVE_INFINITY;
let timer: ReturnType<typeof setTimeout> | undefined;

/** True during the dead time; only for what the buttons look like. Presses are judged by their own time stamp. */
export const unsteady = signal(false);

/** Note that what the decision keys and buttons act on has changed: the selection, a revision, a dialog. */
export function disturb(at: number = performance.now()): void {
  changedAt = Math.max(changedAt, at);
  dim();
}

/** Show that the decision buttons do not act during the dead time. */
export function dim(): void {
  unsteady.value = true;
  clearTimeout(timer);
  timer = setTimeout(() => {
    unsteady.value = false;
  }, DEAD_MS);
}

/**
 * Whether an event came long enough after the last change.
 *
 * `stamp` is the event's own `timeStamp`: a blocked page delivers old presses late, and those must not count.
 * `steadySince` is the time of the last wake-up or catch-up of the connection.
 */
export function isSteady(stamp: number, steadySince: number): boolean {
  return stamp - Math.max(changedAt, steadySince) >= DEAD_MS;
}
