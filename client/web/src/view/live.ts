// Announcements for screen readers: one polite region with at most one message in 5 s, one assertive region.

import { signal } from "@preact/signals";
import { settings } from "./settings_store";

/** The least time between two polite messages, in milliseconds. */
const PAUSE_MS = 5000;

export const politeText = signal("");
export const assertiveText = signal("");

let waiting: readonly string[] = [];
let spokenAt = Number.NEGATIVE_INFINITY;
let timer: ReturnType<typeof setTimeout> | undefined;

function speakPolitely(): void {
  timer = undefined;
  if (waiting.length === 0) return;
  politeText.value = waiting.join(". ");
  waiting = [];
  spokenAt = performance.now();
}

/** Announce a message when the reader pauses. Messages within 5 s become one. */
export function announce(text: string): void {
  if (settings.quiet.peek()) return;
  if (!waiting.includes(text)) waiting = [...waiting, text];
  if (timer !== undefined) return;
  const due = Math.max(0, spokenAt + PAUSE_MS - performance.now());
  timer = setTimeout(speakPolitely, due);
}

/** Interrupt: only for the failure of the person's own answer, and a connection that is lost for long. */
export function interrupt(text: string): void {
  // An equal text is spoken again only if it changes.
  assertiveText.value = assertiveText.peek() === text ? `${text}\u00a0` : text;
}
