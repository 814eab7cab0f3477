import { type ReadonlySignal, signal } from "@preact/signals-core";
import { CallError } from "../model/call_error";
import { Attempts } from "./attempts";
import type { Clock, Random } from "./environment";
import { EventParser } from "./event_parser";
import { errorOf, type Fetch } from "./unary";

export type FeedState = "connecting" | "open" | "offline" | "refused" | "closed";

export interface EventFeedOptions<T> {
  readonly clock: Clock;
  readonly random: Random;
  readonly fetch: Fetch;
  /** For example "/events/jobs?namespace=default". */
  readonly path: string;
  visible(): boolean;
  /** A message of the watch, in order. A message may come again after a reconnect. */
  take(message: T): void;
  /** The person has to sign in again. */
  signedOut(): void;
}

/** The gateway sends a comment every 15 s where nothing happens. */
const SILENT_MS = 37_500;
const WATCH_MS = 5000;
/** Errors that a new attempt would get again. */
const FINAL = new Set(["permission_denied", "not_found", "invalid_argument", "unimplemented"]);

/**
 * Follows a watch as server-sent events, over `fetch`: an EventSource hides the status of a refusal and forgets its
 * position after one. The gateway ends each stream after ten minutes, so an end is nothing special.
 */
export class EventFeed<T> {
  readonly #options: EventFeedOptions<T>;
  readonly #attempts: Attempts;
  readonly #state = signal<FeedState>("connecting");
  readonly #error = signal<CallError | null>(null);
  #position = "";
  #abort: AbortController | null = null;
  #heardAt = 0;
  #cancelWatch = () => {};

  constructor(options: EventFeedOptions<T>) {
    this.#options = options;
    this.#attempts = new Attempts(options.clock, options.random, () => void this.#follow());
    this.#watch();
    void this.#follow();
  }

  get state(): ReadonlySignal<FeedState> {
    return this.#state;
  }

  /** Why it was refused, or why the last attempt failed; null once it is open again. */
  get error(): ReadonlySignal<CallError | null> {
    return this.#error;
  }

  /** The page became visible, the network came back, or the person signed in again. */
  wake(): void {
    this.#checkLiveness();
    if (!this.#abort && this.#state.value !== "closed") {
      this.#attempts.soon();
    }
  }

  close(): void {
    this.#end("closed");
    this.#cancelWatch();
  }

  async #follow(): Promise<void> {
    this.#attempts.begun();
    const abort = new AbortController();
    this.#abort = abort;
    this.#heardAt = this.#options.clock.now();
    const current = () => this.#abort === abort;
    let error: CallError | null = null;
    try {
      await this.#read(abort.signal, current);
    } catch (thrown) {
      error =
        thrown instanceof CallError ? thrown : new CallError({ code: "unavailable", message: `${thrown}` });
    }
    if (!current()) {
      return;
    }
    this.#abort = null;
    this.#error.value = error;
    if (error?.code === "unauthenticated") {
      this.#end("offline");
      this.#options.signedOut();
    } else if (error && FINAL.has(error.code)) {
      this.#end("refused");
    } else {
      this.#state.value = error ? "offline" : "connecting";
      this.#attempts.later(error?.retryAfterMs ?? 0);
    }
  }

  async #read(signal: AbortSignal, current: () => boolean): Promise<void> {
    const headers = {
      accept: "text/event-stream",
      ...(this.#position ? { "last-event-id": this.#position } : {}),
    };
    const response = await this.#options.fetch(this.#options.path, { headers, signal, cache: "no-store" });
    if (!response.ok || !response.body) {
      throw await errorOf(response);
    }
    const parser = new EventParser();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || !current()) {
        return;
      }
      this.#heardAt = this.#options.clock.now();
      this.#state.value = "open";
      this.#error.value = null;
      for (const event of parser.feed(value)) {
        if (event.name === "error") {
          throw await errorOf(new Response(event.data, { status: 503 }));
        }
        this.#options.take(JSON.parse(event.data) as T);
        this.#position = event.id || this.#position;
        this.#attempts.resetLadder();
        if (!current()) {
          return;
        }
      }
    }
  }

  #watch(): void {
    this.#cancelWatch = this.#options.clock.after(WATCH_MS, () => {
      this.#watch();
      this.#checkLiveness();
    });
  }

  #checkLiveness(): void {
    const silent = this.#options.clock.now() - this.#heardAt > SILENT_MS;
    if (this.#abort && silent && this.#options.visible()) {
      this.#drop();
      this.#state.value = "offline";
      this.#attempts.soon();
    }
  }

  #drop(): void {
    const abort = this.#abort;
    this.#abort = null;
    abort?.abort();
  }

  #end(state: FeedState): void {
    this.#drop();
    this.#attempts.cancel();
    this.#state.value = state;
  }
}
