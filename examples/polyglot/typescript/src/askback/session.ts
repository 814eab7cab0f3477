import type { Duration } from "@bufbuild/protobuf/wkt";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import type { ConverseServerFrame } from "../gen/askback/v1/hitl_service_pb.js";
import type { FrameError } from "../gen/askback/v1/stream_pb.js";
import type { WorkServerFrame } from "../gen/askback/v1/worker_service_pb.js";
import { Backoff, sleep } from "./backoff.js";
import { Deferred, Link } from "./link.js";
import { log } from "./program.js";
import type { Server } from "./server.js";

/** The maximum number of requests without a reply; the contract allows 64 per stream. */
const MAX_IN_FLIGHT = 32;
/** The number of missed heartbeats after which the stream is closed. */
const MISSED_BEATS = 3;
const OPEN_TIMEOUT = 20_000;
/** The lifetime of a stream after which the backoff starts again, in milliseconds. */
const SETTLED = 1_000;

export type ServerFrame = ConverseServerFrame | WorkServerFrame;

/** The differences between the two streams: their frames (C from the client, S from the server) and handlers. */
export interface Wire<C, S> {
  /** Start the call with single frames, which it packs into messages and unpacks. */
  dial(transport: Transport, frames: AsyncIterable<C>, signal: AbortSignal): AsyncIterable<S[]>;
  /** Build the first frame of each stream; it says what to resume. */
  hello(): C;
  heartbeat(): C;
  goodbye(): C;
  welcomed(frame: S): void;
  /** Handle a frame that is not a reply. */
  pushed(frame: S): void;
  /** Called with the error that ended a stream, before the next one is opened. */
  lost(error: unknown): void;
}

/** A refused frame, with the error that the unary call would return as its status. */
export class FrameRefused extends Error {
  constructor(readonly frame: FrameError) {
    super(`${Code[frame.code]} (${frame.reason}): ${frame.message}`);
  }
}

/**
 * A frame that waits for its reply. Until then it is sent again, unchanged, on every new stream. This is safe: an id, a
 * key or a token makes each request of the contract idempotent.
 */
interface Request<C, S> {
  frame: C;
  reply: Deferred<S>;
  state: "unsent" | "sent" | "resting";
  pause: Backoff;
}

/** Keeps one stream open, and resends every request on new streams until it has its reply. */
export class Session<C extends { ref: bigint }, S extends ServerFrame> {
  /** The current stream; it may have ended. */
  private current?: Link<C>;
  /** By ref, and so in the order of the requests. */
  private readonly waiting = new Map<bigint, Request<C, S>>();
  private lastRef = 0n;

  constructor(
    private readonly server: Server,
    private readonly wire: Wire<C, S>,
  ) {}

  /** Keep a stream open until the signal, and then say goodbye. Throws if the server refuses the client for good. */
  async run(signal: AbortSignal): Promise<void> {
    const pause = new Backoff();
    const stopped = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    // Still open while the next one is dialled, after a go-away from the server.
    let open: Link<C> | undefined;
    try {
      while (!signal.aborted) {
        const next = this.open();
        await Promise.race([next.ready.promise, next.done.promise, stopped]);
        if (next.over || this.current !== next) {
          next.cancel(new Error("left before the welcome"));
          this.failed("retrying", await next.done.promise);
          await sleep(pause.next(), signal);
          continue;
        }
        open?.retire();
        open = next;
        const born = Date.now();
        await Promise.race([open.leave.promise, open.done.promise, stopped]);
        if (open.over) {
          open = undefined;
          this.failed("disconnected", await next.done.promise);
        }
        if (Date.now() - born > SETTLED) pause.reset();
        await sleep(pause.next(), signal);
      }
    } finally {
      if (open) {
        open.outbox.push(this.wire.goodbye());
        open.retire();
        await open.done.promise;
      }
      for (const request of this.waiting.values()) request.reply.reject(new Error("the session has ended"));
    }
  }

  /**
   * Send a frame and wait for its reply; retry after broken streams and temporary refusals. Throws FrameRefused, or the
   * signal's reason.
   */
  async request(frame: C, signal?: AbortSignal): Promise<S> {
    signal?.throwIfAborted();
    const ref = (frame.ref = ++this.lastRef);
    const request: Request<C, S> = { frame, reply: new Deferred(), state: "unsent", pause: new Backoff() };
    const giveUp = () => request.reply.reject(signal?.reason);
    signal?.addEventListener("abort", giveUp, { once: true });
    this.waiting.set(ref, request);
    this.pump();
    try {
      return await request.reply.promise;
    } finally {
      this.waiting.delete(ref);
      signal?.removeEventListener("abort", giveUp);
      this.pump();
    }
  }

  /** Send a frame without a reply, if there is a stream. */
  send(frame: C): void {
    if (this.current && !this.current.over) this.current.outbox.push(frame);
  }

  /** Report the error that ended a stream; throw it if it would end the next one too. */
  private failed(event: string, error: unknown): void {
    log(event, { error: String(error) });
    this.wire.lost(error);
    if (isFatal(error)) throw error;
  }

  /**
   * Dial and say hello. Each stream needs a new connection: on the old one the next stream would reach the same
   * replica, which may have sent the go-away.
   */
  private open(): Link<C> {
    const connection = this.server.dial();
    const link = new Link<C>(connection);
    link.outbox.push(this.wire.hello());
    const messages = this.wire.dial(connection.transport, link.outbox, link.signal);
    this.read(link, messages).then(
      () => link.end("the server has closed the stream"),
      (error: unknown) => link.end(error),
    );
    return link;
  }

  private async read(link: Link<C>, messages: AsyncIterable<S[]>): Promise<void> {
    let patience = OPEN_TIMEOUT;
    link.heard(patience);
    for await (const frames of messages) {
      for (const frame of frames) {
        const body = frame.body;
        if (body.case === "welcome") {
          const interval = Math.max(100, milliseconds(body.value.heartbeatInterval));
          patience = MISSED_BEATS * interval;
          this.wire.welcomed(frame);
          this.adopt(link, interval);
        } else if (body.case === "goAway") {
          log("moving", { reason: body.value.reason });
          link.askToLeave(milliseconds(body.value.after));
        } else if (frame.ref !== 0n) {
          this.settle(frame);
        } else if (link === this.current) {
          // Ignore pushes of an old stream: the current one sends the same state, but newer.
          this.wire.pushed(frame);
        }
      }
      link.heard(patience);
    }
  }

  /** Make this the current stream, and send all requests without a reply on it first, in order. */
  private adopt(link: Link<C>, interval: number): void {
    this.current = link;
    for (const request of this.waiting.values()) {
      if (request.state === "sent") request.state = "unsent";
    }
    this.pump();
    link.beat(interval / 2, () => this.wire.heartbeat());
    link.ready.resolve();
  }

  /** Send unsent requests, up to the maximum number in flight. */
  private pump(): void {
    if (!this.current || this.current.over) return;
    const requests = [...this.waiting.values()];
    let room = MAX_IN_FLIGHT - requests.filter((request) => request.state === "sent").length;
    for (const request of requests) {
      if (request.state !== "unsent" || room-- <= 0) continue;
      request.state = "sent";
      this.current.outbox.push(request.frame);
    }
  }

  /** Give a reply to the request that waits for it. A request that was sent twice may get two replies. */
  private settle(frame: S): void {
    const request = this.waiting.get(frame.ref);
    if (!request) return;
    if (frame.body.case !== "error") {
      request.reply.resolve(frame);
    } else if (!frame.body.value.retryDelay) {
      request.reply.reject(new FrameRefused(frame.body.value));
    } else if (request.state !== "resting") {
      request.state = "resting";
      setTimeout(
        () => {
          request.state = "unsent";
          this.pump();
        },
        milliseconds(frame.body.value.retryDelay) + request.pause.next(),
      );
    }
  }
}

/**
 * Whether a new stream would fail with the same error. Any other error is temporary: a broken connection is reported
 * as Unavailable, Aborted, Canceled or Internal here.
 */
export function isFatal(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  const fatal = [Code.InvalidArgument, Code.Unauthenticated, Code.PermissionDenied, Code.Unimplemented];
  return fatal.includes(error.code);
}

function milliseconds(duration: Duration | undefined): number {
  return duration ? durationMs(duration) : 0;
}
