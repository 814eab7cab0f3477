import { milliseconds } from "./durations";
import type { Clock } from "./environment";
import type { ConverseServerFrame, PromptEvent } from "./messages";
import type { Stream } from "./stream";

/** What the connection tells the model. Each method runs before the next frame is read. */
export interface Sink {
  /**
   * The next events are a snapshot that was taken without a resume token: `upserted` for each open prompt, then
   * `agrees`. What was known of versions does not count, since the server cannot say whether its history is the same.
   */
  snapshotBegins(): void;
  /** The next events are what changed since the resume token: a snapshot that broke off does not count. */
  resumes(): void;
  /** Changes of prompts, as many as came in one message. */
  events(events: readonly PromptEvent[]): void;
  /** The server started the view again. `historyLost`: versions and ends that are known do not count any more. */
  reset(historyLost: boolean): void;
  /** The view is complete. True: it has as many open prompts as the server says. False: a new snapshot is taken. */
  agrees(openPrompts: number): boolean;
  /** The view is complete, and decisions may be made. */
  live(): void;
  /** The view is not live any more, and surely was until `aliveUntil`. Comes once until the next `live`. */
  lost(aliveUntil: number): void;
  /** A frame told the service's time. */
  serverTime(time: string): void;
  /** The machine's clock jumped, most likely because it slept. */
  jumped(ms: number): void;
  /** Requests can be sent on a new stream. */
  opened(): void;
}

/** What the feed tells the connection. */
interface FeedEvents {
  goAway(afterMs: number): void;
  heartbeat(): void;
  caughtUp(): void;
  /** The view is not live any more. */
  stale(): void;
  /** The view does not agree with the server: connect again without a resume token. */
  mismatch(): void;
}

/** Prompts that the server may send before the page has read them. */
export const CREDIT = 1000;
/** Without a change of the view while catching up: then the view is stuck. */
const CATCH_UP_MS = 30_000;

/** Passes the view's changes on, and knows from where a next stream may resume. */
export class Feed {
  caughtUp = false;
  /** In memory only: a stored one would outlive its filter and its person. Empty: take a snapshot. */
  token = "";
  readonly #clock: Clock;
  readonly #sink: Sink;
  readonly #events: FeedEvents;
  #stream: Stream | null = null;
  /** What the stream has sent since the hello of the next one; null: no hello waits for its welcome. */
  #held: ConverseServerFrame[] | null = null;
  #batch: PromptEvent[] = [];
  #unusedCredit = 0;
  #progressAt = 0;
  #distrusted = false;

  constructor(clock: Clock, sink: Sink, events: FeedEvents) {
    this.#clock = clock;
    this.#sink = sink;
    this.#events = events;
  }

  /** Follows another stream; null: none. */
  follow(stream: Stream | null, resumes = false): void {
    // A stream that hands over was good until now; of one that is gone, only its last frame proves it.
    this.#becomeStale(stream ? this.#clock.now() : this.#stream?.lastFrameAt);
    this.#stream = stream;
    this.#held = null;
    this.#unusedCredit = 0;
    this.#progressAt = this.#clock.now();
    if (stream) {
      resumes ? this.#sink.resumes() : this.#sink.snapshotBegins();
    }
  }

  /**
   * Holds back what the stream sends: another one is asked to go on from the token. It sends what changed since, and the
   * person's access may have changed, and changed back, in between.
   */
  hold(): void {
    this.#held = [];
  }

  /** The other stream was not opened: what was held back counts. */
  release(): void {
    const frames = this.#held ?? [];
    this.#held = null;
    if (this.#stream) {
      this.received(this.#stream, frames);
    }
  }

  /** True: it catches up, and no change has come for 30 s. */
  get stuck(): boolean {
    return this.#stream !== null && !this.caughtUp && this.#clock.now() - this.#progressAt > CATCH_UP_MS;
  }

  /** Takes the frames of one message of a stream. */
  received(stream: Stream, frames: readonly ConverseServerFrame[]): void {
    if (stream === this.#stream && this.#held) {
      this.#held.push(...frames);
      return;
    }
    for (const frame of frames) {
      if (stream !== this.#stream) {
        return;
      }
      const event = frame.promptEvent;
      if (event?.upserted || event?.closed || event?.removed) {
        this.#batch.push(event);
        this.#unusedCredit += event.upserted ? 1 : 0;
        this.#progressAt = this.#clock.now();
        continue;
      }
      this.#publish();
      if (event) {
        this.#control(event);
      } else if (frame.heartbeat) {
        this.#heartbeat(frame.heartbeat.time, frame.heartbeat.resumeToken);
      } else if (frame.goAway) {
        this.#events.goAway(milliseconds(frame.goAway.after, 0));
      }
    }
    this.#publish();
    if (stream === this.#stream && this.#unusedCredit >= CREDIT / 2) {
      stream.tell({ credit: { prompts: this.#unusedCredit } });
      this.#unusedCredit = 0;
    }
  }

  #publish(): void {
    const events = this.#batch;
    this.#batch = [];
    if (events.length > 0) {
      this.#sink.events(events);
    }
  }

  #control(event: PromptEvent): void {
    if (event.resetView) {
      // The token stays until the next one: should this stream break off, the server says again what to forget.
      this.#progressAt = this.#clock.now();
      this.#becomeStale();
      this.#sink.reset(event.resetView.historyLost ?? false);
    } else if (event.caughtUp) {
      this.token = event.caughtUp.resumeToken ?? "";
      this.#caughtUp(event.caughtUp.openPrompts ?? 0);
    } else if (event.bookmark) {
      this.#resumeFrom(event.bookmark.resumeToken);
    }
  }

  #caughtUp(openPrompts: number): void {
    // The prompts of a resumed view are not counted.
    const agrees = this.#sink.agrees(openPrompts) || openPrompts < 0;
    if (!agrees && !this.#distrusted) {
      // A second view that does not agree either is taken as it is, or the page would reconnect again and again.
      this.#distrusted = true;
      this.token = "";
      this.#events.mismatch();
      return;
    }
    this.#distrusted = !agrees;
    this.caughtUp = true;
    this.#sink.live();
    this.#events.caughtUp();
  }

  #heartbeat(time: string | undefined, token: string | undefined): void {
    if (time) {
      this.#sink.serverTime(time);
    }
    this.#resumeFrom(token);
    this.#events.heartbeat();
  }

  /** A token that comes during a snapshot would skip the rest of it. */
  #resumeFrom(token: string | undefined): void {
    if (token && this.caughtUp) {
      this.token = token;
    }
  }

  #becomeStale(aliveUntil = this.#clock.now()): void {
    if (this.caughtUp) {
      this.caughtUp = false;
      this.#sink.lost(aliveUntil);
      this.#events.stale();
    }
  }
}
