import { CallError, codeNumber } from "../model/call_error";
import type { OpenSocket, Socket, SocketEvents } from "./environment";
import { EventParser } from "./event_parser";
import type {
  ConverseClientFrame,
  ConverseHello,
  ConverseServerFrame,
  PromptFilter,
  WatchPromptsResponse,
} from "./messages";
import { answerByPost, call, errorOf, type Fetch } from "./unary";

/** Close codes for the errors after which the page does not just try again. */
const CODES: { readonly [code: string]: number } = {
  unauthenticated: 4401,
  permission_denied: 4403,
  resource_exhausted: 1013,
  invalid_argument: 1007,
};
const WELCOME = { heartbeatInterval: "15s", maxInFlight: 8, maxMessageBytes: 1 << 20 };

/**
 * Converse for networks whose proxies block WebSockets: the view comes as server-sent events, requests go by POST.
 * Heartbeats and credit have no counterpart there, so a person with it does not count as present.
 */
export function eventSockets(fetch: Fetch): OpenSocket {
  return (events) => new EventSocket(fetch, events);
}

class EventSocket implements Socket {
  readonly #fetch: Fetch;
  readonly #events: SocketEvents;
  readonly #abort = new AbortController();
  #over = false;
  #leaving = false;
  #unanswered = 0;

  constructor(fetch: Fetch, events: SocketEvents) {
    this.#fetch = fetch;
    this.#events = events;
    queueMicrotask(() => {
      if (!this.#over) {
        events.opened();
      }
    });
  }

  send(text: string): void {
    const { frames } = JSON.parse(text) as { frames: readonly ConverseClientFrame[] };
    for (const frame of frames) {
      if (frame.hello) {
        void this.#watch(frame.hello);
      } else if (frame.goodbye) {
        this.#leaving = true;
        this.#endAfterReplies();
      } else if (frame.ref) {
        void this.#answer(frame.ref, frame);
      }
    }
  }

  close(): void {
    this.#over = true;
    this.#abort.abort();
  }

  async #watch(hello: ConverseHello): Promise<void> {
    try {
      await this.#read(hello);
      this.#end(1001, "");
    } catch (error) {
      const code = error instanceof CallError ? CODES[error.code] : undefined;
      this.#end(code ?? 1006, error instanceof CallError ? error.message : "");
    }
  }

  async #read(hello: ConverseHello): Promise<void> {
    const position: Record<string, string> = hello.resumeToken ? { "last-event-id": hello.resumeToken } : {};
    const response = await this.#fetch(`/events/prompts${query(hello.namespace ?? "", hello.filter ?? {})}`, {
      headers: { accept: "text/event-stream", ...position },
      signal: this.#abort.signal,
      cache: "no-store",
    });
    if (!response.ok || !response.body) {
      throw await errorOf(response);
    }
    this.#deliver([{ welcome: WELCOME }]);
    const parser = new EventParser();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) {
        return;
      }
      const frames = parser.feed(value).flatMap((event): ConverseServerFrame[] => {
        if (event.name === "error") {
          throw new CallError({ code: "unavailable", message: "The service has ended the stream." });
        }
        const message = JSON.parse(event.data) as WatchPromptsResponse;
        return (message.events ?? []).map((promptEvent) => ({ promptEvent }));
      });
      // Without frames too: a comment is a sign of life.
      this.#deliver(frames);
    }
  }

  async #answer(ref: string, frame: ConverseClientFrame): Promise<void> {
    this.#unanswered += 1;
    try {
      this.#deliver([{ ref, ...(await this.#request(frame)) }]);
    } catch (error) {
      const { code, reason, message, metadata, violations, retryAfterMs } =
        error instanceof CallError ? error : new CallError({ code: "unknown", message: `${error}` });
      const retryDelay = retryAfterMs === undefined ? {} : { retryDelay: `${retryAfterMs / 1000}s` };
      this.#deliver([
        { ref, error: { code: codeNumber(code), reason, message, metadata, violations, ...retryDelay } },
      ]);
    }
    this.#unanswered -= 1;
    this.#endAfterReplies();
  }

  async #request(frame: ConverseClientFrame): Promise<ConverseServerFrame> {
    const fetch = this.#fetch;
    if (frame.answerPrompt) {
      return { answerPrompt: { result: await answerByPost(fetch, frame.answerPrompt) } };
    }
    if (frame.claimPrompt) {
      return { claimPrompt: await call(fetch, "HitlService/ClaimPrompt", frame.claimPrompt) };
    }
    if (frame.releasePrompt) {
      return { releasePrompt: await call(fetch, "HitlService/ReleasePrompt", frame.releasePrompt) };
    }
    throw new CallError({ code: "unimplemented", message: "This request needs a WebSocket." });
  }

  #deliver(frames: readonly ConverseServerFrame[]): void {
    if (!this.#over) {
      this.#events.received(JSON.stringify({ frames }));
    }
  }

  #endAfterReplies(): void {
    if (this.#leaving && this.#unanswered === 0) {
      this.#end(1000, "");
    }
  }

  #end(code: number, reason: string): void {
    if (!this.#over) {
      this.close();
      this.#events.closed(code, reason);
    }
  }
}

/** The fields of a filter that the gateway takes in a query: texts and lists of texts. */
function query(namespace: string, filter: PromptFilter): string {
  const pairs = Object.entries({ namespace, ...filter }).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value])
      .filter((each): each is string => typeof each === "string" && each !== "")
      .map((each) => [name, each]),
  );
  return pairs.length > 0 ? `?${new URLSearchParams(pairs)}` : "";
}
