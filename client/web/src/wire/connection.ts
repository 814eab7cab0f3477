import { signal } from "@preact/signals-core";
import type { Link } from "../model/inbox";
import { Attempts } from "./attempts";
import { verdictOn } from "./close_codes";
import { milliseconds } from "./durations";
import type { Clock, OpenSocket, Random } from "./environment";
import { CREDIT, Feed, type Sink } from "./feed";
import type { ConverseClientFrame, ConverseHello, ConverseServerFrame, ConverseWelcome } from "./messages";
import { Leaving } from "./leaving";
import { Presence } from "./presence";
import { lost, Stream } from "./stream";
import { WallWatch } from "./wall_watch";

export type SessionState = "signed_in" | "signed_out" | "forbidden" | "down";

interface ConnectionOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly openSocket: OpenSocket;
  readonly sink: Sink;
  /** The hello without credit and resume token. */
  hello(): ConverseHello;
  visible(): boolean;
  online(): boolean;
  /** Asks `GET /session`: a page cannot see why a handshake was refused. */
  askSession(): Promise<SessionState>;
}

const HEARTBEAT_MS = 15_000;
/** Heartbeats without a frame after which a socket is not trusted. */
const MISSED = 2.5;
/** From the start of an attempt to its welcome. */
const WELCOME_MS = 10_000;
/** How often clocks, liveness and heartbeats are looked at. */
const WATCH_MS = 5000;
/** Ends because of bugs of ours after which the page gives up. */
const MAX_BUGS = 3;
/** Pages that are asked to move spread over at most this time. */
const MOVE_MS = 5000;

/** Keeps one conversation open, and moves it to another socket without losing or doubling anything. */
export class Connection {
  readonly link = signal<Link>("connecting");
  /** Why the connection is as it is, for people. */
  readonly reason = signal("");
  readonly #options: ConnectionOptions;
  readonly #clock: Clock;
  readonly #attempts: Attempts;
  readonly #feed: Feed;
  readonly #presence: Presence;
  readonly #wall: WallWatch;
  /** Serves the view. */
  #current: Stream | null = null;
  /** The attempt that is on its way. */
  #opening: Stream | null = null;
  readonly #leaving: Leaving;
  /** True: the current stream ends soon, so another one is wanted. */
  #goingAway = false;
  #stopped: Link | null = "offline";
  #failed = false;
  #bugs = 0;
  #heartbeatMs = HEARTBEAT_MS;
  #cancelWelcome = () => {};
  #cancelWatch = () => {};

  constructor(options: ConnectionOptions) {
    const clock = options.clock;
    this.#options = options;
    this.#clock = clock;
    this.#attempts = new Attempts(clock, options.random, () => this.#attempt());
    this.#feed = new Feed(clock, options.sink, {
      goAway: (afterMs) => this.#goAway(afterMs),
      heartbeat: () => this.#presence.tick(this.#heartbeatMs / 2),
      caughtUp: () => this.#becameLive(),
      stale: () => this.#update(),
      mismatch: () => this.restart(),
    });
    this.#leaving = new Leaving(clock);
    this.#presence = new Presence(clock);
    this.#wall = new WallWatch(clock);
  }

  /** True: requests can be sent over the socket. */
  get open(): boolean {
    return this.#current !== null;
  }

  /** Sends a request over the socket. Rejects with CallError, also if there is none. */
  request(body: Omit<ConverseClientFrame, "ref">): Promise<ConverseServerFrame> {
    return this.#current?.request(body) ?? Promise.reject(lost());
  }

  /** Connects; also again after "signed_out" and every other end. */
  start(): void {
    this.#stopped = null;
    this.#failed = false;
    this.#bugs = 0;
    this.reason.value = "";
    this.#attempts.resetLadder();
    this.#watch();
    this.#attempt();
  }

  /** Leaves in order. */
  close(): void {
    this.#leaveCurrent();
    this.stop("offline", "");
  }

  /** Ends everything and does not connect again. */
  stop(link: Link, reason: string): void {
    this.#drop();
    this.#cancelWatch();
    this.#stopped = link;
    this.reason.value = reason;
    this.#update();
  }

  /** Takes a new snapshot: another filter, or a view that is not right. */
  restart(): void {
    this.#feed.token = "";
    if (!this.#stopped) {
      this.#drop();
      this.#attempt();
    }
  }

  /** The page became visible, or came out of the back cache. */
  wake(): void {
    if (this.#stopped) {
      return;
    }
    this.#checkWall();
    this.#checkLiveness();
    if (this.#opening && this.#clock.now() - this.#opening.openedAt > WELCOME_MS) {
      this.#opening.discard();
      this.#opening = null;
      this.#feed.release();
    }
    this.#presence.shown();
    this.#attemptIfWanted(() => this.#attempts.soon());
  }

  /** The browser has a network again, or has none any more. */
  networkChanged(): void {
    if (this.#options.online()) {
      this.#attemptIfWanted(() => this.#attempts.soon());
    }
    this.#update();
  }

  #attemptIfWanted(plan: () => void): void {
    if (!this.#stopped && !this.#opening && (!this.#current || this.#goingAway)) {
      plan();
    }
  }

  #attempt(): void {
    this.#attemptIfWanted(() => {
      this.#attempts.begun();
      this.#feed.hold();
      const token = this.#feed.token;
      const hello = { ...this.#options.hello(), credit: CREDIT, resumeToken: token };
      const stream: Stream = new Stream(this.#clock, this.#options.openSocket, hello, {
        welcomed: (welcome) => this.#welcomed(stream, welcome, token !== ""),
        received: (frames) => this.#feed.received(stream, frames),
        closed: (code, reason, opened) => this.#closed(stream, code, reason, opened),
      });
      this.#opening = stream;
      this.#cancelWelcome = this.#clock.after(WELCOME_MS, () => {
        stream.discard();
        this.#closed(stream, 1006, "", true);
      });
      this.#update();
    });
  }

  #welcomed(stream: Stream, welcome: ConverseWelcome, resumes: boolean): void {
    this.#cancelWelcome();
    this.#leaveCurrent();
    this.#current = stream;
    this.#opening = null;
    this.#goingAway = false;
    this.#heartbeatMs = milliseconds(welcome.heartbeatInterval, HEARTBEAT_MS);
    this.#presence.follow(stream, this.#heartbeatMs, this.#options.visible());
    this.#feed.follow(stream, resumes);
    this.#update();
    this.#options.sink.opened();
  }

  #leaveCurrent(): void {
    if (this.#current) {
      this.#leaving.add(this.#current);
      this.#current = null;
    }
  }

  #becameLive(): void {
    this.#failed = false;
    this.reason.value = "";
    this.#attempts.resetLadder();
    this.#update();
  }

  /** Moves at a random time within the first half of what is left, so that not all pages come at once. */
  #goAway(afterMs: number): void {
    if (!this.#goingAway) {
      this.#goingAway = true;
      this.#attempts.within(Math.min(afterMs / 2, MOVE_MS) * this.#options.random());
    }
  }

  #closed(stream: Stream, code: number, reason: string, opened: boolean): void {
    if (stream === this.#current) {
      this.#current = null;
      this.#goingAway = false;
      this.#feed.follow(null);
    } else if (stream === this.#opening) {
      this.#opening = null;
      this.#feed.release();
      this.#failed = true;
      this.#cancelWelcome();
    } else {
      this.#leaving.ended(stream);
      return;
    }
    const verdict = verdictOn(code);
    if (verdict.stop) {
      this.stop(verdict.stop, reason);
      return;
    }
    if (verdict.forgetToken) {
      this.#feed.token = "";
    }
    if (verdict.bug) {
      this.#bugs += 1;
      if (this.#bugs >= MAX_BUGS) {
        this.stop("offline", reason);
        return;
      }
    }
    this.reason.value = reason;
    this.#attemptIfWanted(() => this.#attempts.later(verdict.floorMs));
    this.#update();
    if (!opened) {
      void this.#askSession();
    }
  }

  async #askSession(): Promise<void> {
    const state = await this.#options.askSession();
    if ((state === "signed_out" || state === "forbidden") && !this.#current && !this.#stopped) {
      this.stop(state, "");
    }
  }

  #watch(): void {
    this.#cancelWatch();
    this.#cancelWatch = this.#clock.after(WATCH_MS, () => {
      this.#watch();
      this.#checkWall();
      this.#checkLiveness();
      this.#presence.tick(WATCH_MS);
    });
  }

  /** Replaces a silent socket. Timers of hidden pages are late, so only a visible page can tell. */
  #checkLiveness(): void {
    if (!this.#current || !this.#options.visible()) {
      return;
    }
    const stuck = this.#feed.stuck;
    if (stuck) {
      this.#feed.token = "";
    }
    if (stuck || this.#clock.now() - this.#current.lastFrameAt > MISSED * this.#heartbeatMs) {
      this.#replace();
    }
  }

  /** A socket that lived through a sleep is not trusted. */
  #checkWall(): void {
    const jump = this.#wall.jump();
    if (jump !== 0) {
      if (this.#current) {
        this.#replace();
      }
      this.#options.sink.jumped(jump);
    }
  }

  #replace(): void {
    this.#drop();
    this.#failed = false;
    this.#attempts.soon();
    this.#update();
  }

  #drop(): void {
    this.#attempts.cancel();
    this.#cancelWelcome();
    this.#current?.discard();
    this.#opening?.discard();
    this.#current = null;
    this.#opening = null;
    this.#goingAway = false;
    this.#presence.follow(null, this.#heartbeatMs, false);
    this.#feed.follow(null);
  }

  #update(): void {
    const connected = this.#feed.caughtUp ? "live" : "catching_up";
    const waiting = this.#failed || !this.#options.online() ? "offline" : "connecting";
    this.link.value = this.#stopped ?? (this.#current ? connected : waiting);
  }
}
