import type { Clock } from "./environment";
import type { Stream } from "./stream";

/**
 * Our heartbeats, which make the service count the person as present. A stream that a hidden page opened sends
 * none until the page is shown: a proxy that restarts at night must not make everyone present.
 */
export class Presence {
  readonly #clock: Clock;
  #stream: Stream | null = null;
  #intervalMs = 0;
  #sentAt = 0;
  #present = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  follow(stream: Stream | null, intervalMs: number, visible: boolean): void {
    this.#stream = stream;
    this.#intervalMs = intervalMs;
    this.#present = false;
    if (visible) {
      this.shown();
    }
  }

  /** The page is visible. */
  shown(): void {
    this.#present = true;
    this.#send();
  }

  /**
   * Sends a heartbeat if the next call may come too late for it. Timers of hidden pages run rarely, so every
   * heartbeat of the server is an occasion too.
   */
  tick(nextCallMs: number): void {
    if (this.#clock.now() - this.#sentAt + nextCallMs > this.#intervalMs) {
      this.#send();
    }
  }

  #send(): void {
    if (this.#present && this.#stream) {
      this.#sentAt = this.#clock.now();
      this.#stream.tell({ heartbeat: {} });
    }
  }
}
