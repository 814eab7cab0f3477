// Dead time: a press right after a change of what it would act on does nothing. And where the focus was moved while a
// person wrote, letters do nothing until the person has moved it again.

import { signal } from "@preact/signals";

/** How a press is made. A pointer rests where the button before was, so it waits longer. */
export type How = "key" | "pointer";

/** How long people need to notice that something changed under their finger, in milliseconds. */
export const DEAD_MS: Readonly<Record<How, number>> = { key: 300, pointer: 800 };

let changedAt = Number.NEGATIVE_INFINITY;
let timer: ReturnType<typeof setTimeout> | undefined;

/** True: a text that a person wrote in left the page, and the focus is where they did not put it. */
export const focusMoved = signal(false);

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
  }, DEAD_MS.pointer);
}

/**
 * Whether an event came long enough after the last change.
 *
 * `stamp` is the event's own `timeStamp`: a blocked page delivers old presses late, and those must not count.
 * `steadySince` is the time of the last wake-up or catch-up of the connection. A pointer that came too early starts the
 * dead time again: a finger that goes on tapping in one place has not looked.
 */
export function isSteady(stamp: number, steadySince: number, how: How): boolean {
  const isLateEnough = stamp - Math.max(changedAt, steadySince) >= DEAD_MS[how];
  if (!isLateEnough && how === "pointer") disturb(stamp);
  return isLateEnough;
}

/** The same for a click, which a key on a button makes too. */
export function isSteadyClick(event: MouseEvent, steadySince: number): boolean {
  return isSteady(event.timeStamp, steadySince, event.detail === 0 ? "key" : "pointer");
}
