import { CallError, frameError } from "../model/call_error";
import type { Clock, OpenSocket, Socket } from "./environment";
import type { ConverseClientFrame, ConverseHello, ConverseServerFrame, ConverseWelcome } from "./messages";

type Body = Omit<ConverseClientFrame, "ref">;

interface Request {
  readonly body: Body;
  resolve(frame: ConverseServerFrame): void;
  reject(error: CallError): void;
}

interface StreamEvents {
  welcomed(welcome: ConverseWelcome): void;
  /** The frames of one message that are no replies, in order. Comes for every message, if only with none. */
  received(frames: readonly ConverseServerFrame[]): void;
  /** `opened`: the handshake had succeeded. */
  closed(code: number, reason: string, opened: boolean): void;
}

const DEFAULT_IN_FLIGHT = 16;
const DEFAULT_MESSAGE_BYTES = 1 << 20;

/** The code with which a stream ends whose frames cannot be read. */
export const UNREADABLE = 1007;

const utf8 = new TextEncoder();

export function lost(): CallError {
  return new CallError({
    code: "unavailable",
    message: "The connection was lost before the reply came. Whether it was done is not known.",
  });
}

/**
 * One conversation over one socket: hello first, then requests and their replies by `ref`. What waits is sent as
 * one message; at most as many requests as the welcome allows wait for replies.
 */
export class Stream {
  phase: "opening" | "greeting" | "welcomed" | "leaving" | "closed" = "opening";
  lastFrameAt: number;
  readonly openedAt: number;
  readonly #clock: Clock;
  readonly #events: StreamEvents;
  readonly #socket: Socket;
  readonly #hello: ConverseHello;
  readonly #waiting = new Map<string, Request>();
  #queue: Request[] = [];
  #outgoing: string[] = [];
  #flushing = false;
  #nextRef = 1n;
  #maxInFlight = DEFAULT_IN_FLIGHT;
  #maxBytes = DEFAULT_MESSAGE_BYTES;

  constructor(clock: Clock, openSocket: OpenSocket, hello: ConverseHello, events: StreamEvents) {
    this.#clock = clock;
    this.#hello = hello;
    this.#events = events;
    this.openedAt = clock.now();
    this.lastFrameAt = this.openedAt;
    this.#socket = openSocket({
      opened: () => this.#opened(),
      received: (text) => this.#received(text),
      closed: (code, reason) => this.#end(code, reason),
    });
  }

  /** Sends a request and returns the frame that replies. Rejects with CallError. */
  request(body: Body): Promise<ConverseServerFrame> {
    return new Promise((resolve, reject) => {
      if (this.phase !== "welcomed") {
        reject(lost());
        return;
      }
      this.#queue.push({ body, resolve, reject });
      this.#fill();
    });
  }

  /** Sends a frame that has no reply. */
  tell(body: Body): void {
    if (this.phase === "welcomed") {
      this.#put({ ...body });
    }
  }

  /** Says goodbye: the server sends the replies that are due and ends the stream. */
  leave(): void {
    if (this.phase !== "welcomed") {
      this.discard();
      return;
    }
    this.#put({ goodbye: {} });
    this.#flush();
    this.phase = "leaving";
    const unsent = this.#queue;
    this.#queue = [];
    for (const each of unsent) {
      each.reject(lost());
    }
  }

  /** Ends a socket that is not trusted. No event follows. */
  discard(): void {
    if (this.phase !== "closed") {
      this.#finish();
      this.#socket.close();
    }
  }

  #opened(): void {
    if (this.phase !== "opening") {
      return;
    }
    this.phase = "greeting";
    this.lastFrameAt = this.#clock.now();
    this.#put({ hello: this.#hello });
    this.#flush();
  }

  #received(text: string): void {
    if (this.phase === "opening" || this.phase === "closed") {
      return;
    }
    this.lastFrameAt = this.#clock.now();
    let frames: readonly ConverseServerFrame[];
    try {
      frames = (JSON.parse(text) as { frames?: readonly ConverseServerFrame[] }).frames ?? [];
    } catch {
      this.#socket.close();
      this.#end(UNREADABLE, "The page could not read a message.");
      return;
    }
    const events: ConverseServerFrame[] = [];
    for (const frame of frames) {
      const ref = frame.ref ?? "0";
      if (frame.welcome) {
        this.#welcomed(frame.welcome);
      } else if (ref !== "0") {
        this.#reply(ref, frame);
      } else if (this.phase === "welcomed") {
        events.push(frame);
      }
    }
    if (this.phase === "welcomed") {
      this.#events.received(events);
    }
  }

  #welcomed(welcome: ConverseWelcome): void {
    if (this.phase !== "greeting") {
      return;
    }
    this.phase = "welcomed";
    this.#maxInFlight = welcome.maxInFlight || DEFAULT_IN_FLIGHT;
    this.#maxBytes = welcome.maxMessageBytes || DEFAULT_MESSAGE_BYTES;
    this.#events.welcomed(welcome);
  }

  #reply(ref: string, frame: ConverseServerFrame): void {
    const request = this.#waiting.get(ref);
    if (!request) {
      return;
    }
    this.#waiting.delete(ref);
    if (frame.error) {
      request.reject(frameError(frame.error));
    } else {
      request.resolve(frame);
    }
    this.#fill();
  }

  #fill(): void {
    while (this.phase === "welcomed" && this.#waiting.size < this.#maxInFlight) {
      const request = this.#queue.shift();
      if (!request) {
        return;
      }
      const ref = this.#nextRef.toString();
      const text = JSON.stringify({ ref, ...request.body });
      if (utf8.encode(text).length > this.#maxBytes - 64) {
        request.reject(
          new CallError({ code: "resource_exhausted", message: "This is too large to be sent." }),
        );
        continue;
      }
      this.#nextRef += 1n;
      this.#waiting.set(ref, request);
      this.#queueText(text);
    }
  }

  #put(frame: ConverseClientFrame): void {
    this.#queueText(JSON.stringify(frame));
  }

  #queueText(text: string): void {
    this.#outgoing.push(text);
    if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => this.#flush());
    }
  }

  #flush(): void {
    this.#flushing = false;
    const texts = this.#outgoing;
    this.#outgoing = [];
    if (this.phase === "closed") {
      return;
    }
    let batch: string[] = [];
    let bytes = 0;
    const send = () => {
      if (batch.length > 0) {
        this.#socket.send(`{"frames":[${batch.join(",")}]}`);
      }
      batch = [];
      bytes = 0;
    };
    for (const text of texts) {
      const more = utf8.encode(text).length + 1;
      if (bytes + more > this.#maxBytes - 64 || batch.length === 1000) {
        send();
      }
      batch.push(text);
      bytes += more;
    }
    send();
  }

  #end(code: number, reason: string): void {
    if (this.phase === "closed") {
      return;
    }
    const opened = this.phase !== "opening";
    this.#finish();
    this.#events.closed(code, reason, opened);
  }

  #finish(): void {
    this.phase = "closed";
    const requests = [...this.#waiting.values(), ...this.#queue];
    this.#waiting.clear();
    this.#queue = [];
    for (const each of requests) {
      each.reject(lost());
    }
  }
}
