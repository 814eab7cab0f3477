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

/** How many requests wait for their replies at once; the contract allows 64 on a stream. */
const MAX_IN_FLIGHT = 32;
/** After so many missed heartbeats the server is taken for dead. */
const MISSED_BEATS = 3;
const OPEN_TIMEOUT = 20_000;
/** How long a stream must have lived for the next failure to count as a first one, in milliseconds. */
const SETTLED = 1_000;

export type ServerFrame = ConverseServerFrame | WorkServerFrame;

/** What differs between the two streams: their frames (C from the client, S from the server), and who wants to know. */
export interface Wire<C, S> {
  /** Start the call: frames in, frames out, messages taken apart. */
  dial(transport: Transport, frames: AsyncIterable<C>, signal: AbortSignal): AsyncIterable<S[]>;
  /** Made anew for each stream: it says what is to be resumed. */
  hello(): C;
  heartbeat(): C;
  goodbye(): C;
  welcomed(frame: S): void;
  /** Take a frame that replies to nothing. */
  pushed(frame: S): void;
  /** How a stream ended, before the next one is opened. */
  lost(error: unknown): void;
}

/** A frame that the server refused. It says what the status of the unary call would say. */
export class FrameRefused extends Error {
  constructor(readonly frame: FrameError) {
    super(`${Code[frame.code]} (${frame.reason}): ${frame.message}`);
  }
}

/**
 * A frame that waits for its reply. It is sent again, unchanged, on every new stream until then, which is harmless:
 * each request of the contract is idempotent by an id, a key or a token in it.
 */
interface Request<C, S> {
  frame: C;
  reply: Deferred<S>;
  state: "unsent" | "sent" | "resting";
  pause: Backoff;
}

/** Keeps one stream open, and every request alive until its reply, over as many streams as that takes. */
export class Session<C extends { ref: bigint }, S extends ServerFrame> {
  /** The stream in use; it may have ended. */
  private current?: Link<C>;
  /** By ref, so in the order in which they were made. */
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
    // Still open while the next one is dialled: the server has asked us to go.
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
   * Send a frame and wait for its reply, over broken streams and over refusals that pass. Throws FrameRefused, or the
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

  /** Say something that wants no reply; without a stream it is not said. */
  send(frame: C): void {
    if (this.current && !this.current.over) this.current.outbox.push(frame);
  }

  /** How a stream ended is told; what would end the next one alike is thrown. */
  private failed(event: string, error: unknown): void {
    log(event, { error: String(error) });
    this.wire.lost(error);
    if (isFatal(error)) throw error;
  }

  /**
   * Dial and say hello. Each stream has a connection of its own: on the old one the next stream would come to the same
   * replica, which may be the one that asked us to go.
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
          // What a stream says after the next one is open, the next one says too, and better.
          this.wire.pushed(frame);
        }
      }
      link.heard(patience);
    }
  }

  /** From now on this is the stream in use: all that waits for a reply is sent on it first, in order. */
  private adopt(link: Link<C>, interval: number): void {
    this.current = link;
    for (const request of this.waiting.values()) {
      if (request.state === "sent") request.state = "unsent";
    }
    this.pump();
    link.beat(interval / 2, () => this.wire.heartbeat());
    link.ready.resolve();
  }

  /** Send what is unsent, as far as the window allows. */
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

  /** Give a reply to whoever waits for it. A request that was sent on two streams may be replied to twice. */
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
 * Whether a stream that ended like this would end alike if it were opened again. Everything else passes: a connection
 * that breaks comes as Unavailable, Aborted, Canceled or Internal here.
 */
export function isFatal(error: unknown): boolean {
  if (!(error instanceof ConnectError)) return false;
  const fatal = [Code.InvalidArgument, Code.Unauthenticated, Code.PermissionDenied, Code.Unimplemented];
  return fatal.includes(error.code);
}

function milliseconds(duration: Duration | undefined): number {
  return duration ? durationMs(duration) : 0;
}
