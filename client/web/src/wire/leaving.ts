import type { Clock } from "./environment";
import type { Stream } from "./stream";

/** For the replies that a stream owes after our goodbye. */
const LEAVE_MS = 30_000;

/** Streams after our goodbye: only their replies count, until the server ends them or the time is over. */
export class Leaving {
  readonly #clock: Clock;
  readonly #streams = new Map<Stream, () => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Says goodbye. */
  add(stream: Stream): void {
    stream.leave();
    const cancel = this.#clock.after(LEAVE_MS, () => {
      this.#streams.delete(stream);
      stream.discard();
    });
    this.#streams.set(stream, cancel);
  }

  ended(stream: Stream): void {
    this.#streams.get(stream)?.();
    this.#streams.delete(stream);
  }
}
