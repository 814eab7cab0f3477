// Notification and tone for new prompts. One tab of a browser gives them: the one that has the lock, and only while the
// person looks at none of the tabs. There is one notification at most, which sums up what is new.

import { effect, signal } from "@preact/signals";
import type { Inbox } from "../model/inbox";
import { language } from "../words";
import { alertWords } from "./alert_words";
import type { Arrivals } from "./arrivals";
import { Hold, isHeld } from "./hold";
import { open } from "./keyboard";
import { showWaiting } from "./list_state";
import { dialog } from "./page";
import { idOf, isOpen } from "./prompt_facts";
import { go } from "./route";
import { settings } from "./settings_store";
import { playTone, primeTone } from "./tone";

/** The least time between two alerts, in milliseconds: what comes meanwhile is in the next one. */
const PAUSE_MS = 10_000;
const TAG = "askback";
const LOOKING = "askback-looking";

/** True: the browser has notifications, but none for open pages. Phones want a service worker. */
export const unsupported = signal(typeof Notification === "undefined" || !isSecureContext);

/** Show a notification, in place of the one before. Undefined: the browser does not. */
export function notify(title: string, body: string, isNews: boolean): Notification | undefined {
  if (unsupported.peek() || Notification.permission !== "granted") return undefined;
  // Types of browsers lack `renotify`: whether to show it again where one was shown before.
  const options = { body, tag: TAG, renotify: isNews, silent: true, lang: language() };
  try {
    return new Notification(title, { ...options, icon: "/assets/icon-192.png" });
  } catch {
    unsupported.value = true;
    return undefined;
  }
}

export class Alerts {
  readonly #arrivals: Arrivals;
  readonly #inbox: Inbox;
  readonly #turn = new Hold("askback-alerts", "exclusive", () => this.changed());
  readonly #looking = new Hold(LOOKING, "shared", () => {});
  readonly #stops: readonly (() => void)[];
  #shown: Notification | undefined;
  /** The prompts that the last alert was about. */
  #alerted: ReadonlySet<string> = new Set();
  #alertedAt = Number.NEGATIVE_INFINITY;
  #isBusy = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(arrivals: Arrivals, inbox: Inbox) {
    this.#arrivals = arrivals;
    this.#inbox = inbox;
    const touch = () => settings.sound.peek() && primeTone();
    addEventListener("pointerdown", touch);
    addEventListener("keydown", touch);
    this.#stops = [
      () => removeEventListener("pointerdown", touch),
      () => removeEventListener("keydown", touch),
      // A tab without a connection leaves it to another one.
      effect(() => {
        const isWanted = settings.notify.value || settings.sound.value;
        this.#turn.wanted = isWanted && inbox.link.value === "live";
        if (!settings.notify.value) this.#take();
      }),
    ];
  }

  /** Whether the person looks at this tab. */
  look(isLooking: boolean): void {
    this.#looking.wanted = isLooking;
  }

  /** What is new has changed: a prompt came, was closed or claimed elsewhere, or the person has seen all. */
  changed(): void {
    const ids = this.#arrivals.unseen.map(idOf);
    if (ids.length === 0) {
      this.#take();
      this.#alerted = new Set();
      return;
    }
    const isSame = ids.length === this.#alerted.size && ids.every((id) => this.#alerted.has(id));
    if (!this.#turn.has || this.#isBusy || isSame) return;
    clearTimeout(this.#timer);
    const due = this.#alertedAt + PAUSE_MS - performance.now();
    if (due > 0) this.#timer = setTimeout(() => void this.#alert(), due);
    else void this.#alert();
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#turn.wanted = false;
    this.#looking.wanted = false;
    this.#take();
  }

  async #alert(): Promise<void> {
    this.#isBusy = true;
    const isSeen = await isHeld(LOOKING).catch(() => false);
    this.#isBusy = false;
    if (isSeen) this.#arrivals.see();
    const unseen = this.#arrivals.unseen;
    if (unseen.length > 0 && this.#turn.has) {
      const isNews = unseen.some((prompt) => !this.#alerted.has(idOf(prompt)));
      this.#alerted = new Set(unseen.map(idOf));
      if (isNews) this.#alertedAt = performance.now();
      if (settings.notify.peek()) this.#show(isNews);
      if (isNews && settings.sound.peek()) void playTone(settings.volume.peek());
    }
    // What changed in the meantime.
    this.changed();
  }

  #show(isNews: boolean): void {
    const unseen = this.#arrivals.unseen;
    // One that the person has put away does not come back without news.
    if (!isNews && this.#shown === undefined) return;
    const count = [...this.#inbox.rows.peek().values()].filter(isOpen).length;
    const { title, body } = alertWords(unseen, count);
    const made = notify(title, body, isNews);
    this.#shown = made;
    // Chromium ignores `close` until a notification is on the screen.
    made?.addEventListener("show", () => {
      if (this.#shown === undefined) made.close();
    });
    made?.addEventListener("close", () => {
      if (this.#shown === made) this.#shown = undefined;
    });
    made?.addEventListener("click", (event) => {
      event.preventDefault();
      focus();
      made.close();
      // A window with text in it, such as the table of a joint decision, stays; what was clicked is behind it.
      if (dialog.peek() === "help" || dialog.peek() === "palette") dialog.value = null;
      const [only] = unseen;
      if (only !== undefined && unseen.length === 1) open(idOf(only));
      else {
        go({ view: "queue" });
        showWaiting();
      }
    });
  }

  /** Take the notification away: what it says is no news any more. */
  #take(): void {
    clearTimeout(this.#timer);
    this.#shown?.close();
    this.#shown = undefined;
  }
}
