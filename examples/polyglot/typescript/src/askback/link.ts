import type { Connection } from "./server.js";

/** The maximum time that a retired stream may take to end, in milliseconds. */
const LEAVE_GRACE = 10_000;

/** A promise, and the functions that settle it. (`Promise.withResolvers` needs Node 22.) */
export class Deferred<T> {
  resolve!: (value: T) => void;
  reject!: (reason: unknown) => void;
  readonly promise = new Promise<T>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}

/** A queue of frames for the call, which half-closes when the queue is closed. */
export class Outbox<C> implements AsyncIterable<C> {
  private readonly queue: C[] = [];
  private closed = false;
  private wake = new Deferred<void>();

  push(frame: C): void {
    this.queue.push(frame);
    this.wake.resolve();
  }

  close(): void {
    this.closed = true;
    this.wake.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<C, void, undefined> {
    for (;;) {
      for (let frame = this.queue.shift(); frame !== undefined; frame = this.queue.shift()) yield frame;
      if (this.closed) return;
      this.wake = new Deferred();
      await this.wake.promise;
    }
  }
}

/** One physical stream on a separate connection. */
export class Link<C> {
  readonly outbox = new Outbox<C>();
  /** Resolved by the welcome. */
  readonly ready = new Deferred<void>();
  /** Resolved when the server asks the client to move. */
  readonly leave = new Deferred<void>();
  /** Resolved at the end with its error. Never rejected. */
  readonly done = new Deferred<unknown>();
  over = false;
  private readonly abort = new AbortController();
  private after = LEAVE_GRACE;
  private readonly timers: NodeJS.Timeout[] = [];
  private watchdog?: NodeJS.Timeout;

  constructor(private readonly connection: Connection) {}

  get signal(): AbortSignal {
    return this.abort.signal;
  }

  /** Restart the watchdog: the stream fails if it is silent for this many milliseconds. */
  heard(patience: number): void {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.cancel(new Error("nothing was heard from the server")), patience);
  }

  /** Send a heartbeat in every interval. */
  beat(interval: number, heartbeat: () => C): void {
    this.timers.push(setInterval(() => this.outbox.push(heartbeat()), interval));
  }

  askToLeave(after: number): void {
    this.after = Math.min(after, LEAVE_GRACE);
    this.leave.resolve();
  }

  /** Send queued frames, half-close, and give the server some time to send the outstanding replies. */
  retire(): void {
    this.outbox.close();
    this.timers.push(setTimeout(() => this.cancel(new Error("left")), this.after));
  }

  cancel(reason: Error): void {
    this.abort.abort(reason);
  }

  /** Release all resources after the end of the stream. */
  end(error: unknown): void {
    this.over = true;
    clearTimeout(this.watchdog);
    for (const timer of this.timers) clearTimeout(timer);
    this.outbox.close();
    this.connection.close();
    this.done.resolve(this.abort.signal.aborted ? this.abort.signal.reason : error);
  }
}
