import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  type AnswerPromptRequestSchema,
  type AnswerResult,
  type ConverseClientFrame,
  ConverseClientFrameSchema,
  type ConverseServerFrame,
  HitlService,
  type PromptEvent,
} from "../gen/askback/v1/hitl_service_pb.js";
import { type Prompt, PromptState } from "../gen/askback/v1/prompt_pb.js";
import { Deferred } from "./link.js";
import { log } from "./program.js";
import type { Server } from "./server.js";
import { Session, type Wire } from "./session.js";

interface Shown {
  prompt: Prompt;
  /** The stream whose credit it uses. */
  stream: number;
  /** Whether the newest version has not been yielded yet. */
  queued: boolean;
}

/**
 * Receives open prompts for a person and sends answers. `id` is stable over restarts. `credit` is the maximum number of
 * prompts that the server sends before `prompts` yields them (0: no limit).
 */
export class Console implements Wire<ConverseClientFrame, ConverseServerFrame> {
  private readonly session: Session<ConverseClientFrame, ConverseServerFrame>;
  private readonly open = new Map<string, Shown>();
  private arrived = new Deferred<void>();
  /** Counts streams: credit belongs to one. */
  private stream = 0;
  private token = "";
  /** What the present stream has pushed since the hello of the next one. Undefined: no hello waits for its welcome. */
  private held?: ConverseServerFrame[];

  constructor(
    server: Server,
    private readonly id: string,
    private readonly credit: number,
  ) {
    this.session = new Session(server, this);
  }

  /** Keep the console connected until the signal. Throws if the server refuses it for good. */
  async run(signal: AbortSignal): Promise<void> {
    await this.session.run(signal);
  }

  /** Yield open prompts as they arrive, and again when they change, until the signal. */
  async *prompts(signal: AbortSignal): AsyncGenerator<Prompt, void, undefined> {
    const stopped = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    while (!signal.aborted) {
      const next = [...this.open.values()].find((shown) => shown.queued);
      if (next) {
        next.queued = false;
        this.restoreCredit(next);
        yield next.prompt;
      } else {
        this.arrived = new Deferred();
        await Promise.race([this.arrived.promise, stopped]);
      }
    }
  }

  /**
   * Submit an answer and return its result, however often the connection breaks in between: the request is sent again
   * with the same answerId until the result arrives, and one answerId has one result.
   */
  async answer(value: MessageInitShape<typeof AnswerPromptRequestSchema>): Promise<AnswerResult> {
    const frame = create(ConverseClientFrameSchema, { body: { case: "answerPrompt", value } });
    const { body } = await this.session.request(frame);
    const result = body.case === "answerPrompt" ? body.value.result : undefined;
    if (!result) throw new Error("the server replied without a result");
    return result;
  }

  async *dial(transport: Transport, frames: AsyncIterable<ConverseClientFrame>, signal: AbortSignal) {
    async function* messages() {
      for await (const frame of frames) yield { frames: [frame] };
    }
    for await (const message of createClient(HitlService, transport).converse(messages(), { signal })) {
      yield message.frames;
    }
  }

  /**
   * Resume the conversation at the last resume token. The next stream sends what changed since; what the present one
   * still sends may be of another access, so it is held back until the welcome.
   */
  hello(): ConverseClientFrame {
    this.held = [];
    const value = { consoleId: this.id, credit: this.credit, resumeToken: this.token };
    return create(ConverseClientFrameSchema, { body: { case: "hello", value } });
  }

  heartbeat(): ConverseClientFrame {
    return create(ConverseClientFrameSchema, { body: { case: "heartbeat", value: {} } });
  }

  goodbye(): ConverseClientFrame {
    return create(ConverseClientFrameSchema, { body: { case: "goodbye", value: {} } });
  }

  welcomed(frame: ConverseServerFrame): void {
    if (frame.body.case !== "welcome") return;
    this.held = undefined;
    this.stream++;
    if (!this.token) this.open.clear(); // the server sends a full snapshot
    log("connected", { replica: frame.body.value.replica, resumed: this.token !== "" });
  }

  /** Apply what was held back: no stream has taken over. */
  lost(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const frame of held) this.apply(frame);
  }

  pushed(frame: ConverseServerFrame): void {
    if (this.held) this.held.push(frame);
    else this.apply(frame);
  }

  private apply({ body }: ConverseServerFrame): void {
    if (body.case === "heartbeat") this.resumeAt(body.value.resumeToken);
    if (body.case === "promptEvent") this.changed(body.value.event);
  }

  private changed(event: PromptEvent["event"]): void {
    switch (event.case) {
      case "upserted":
        if (event.value.prompt) this.upsert(event.value.prompt);
        break;
      case "closed": {
        const { promptId, answerId, resolution, version } = event.value;
        this.remove(promptId, version);
        log("closed", { prompt_id: promptId, answer_id: answerId, state: PromptState[resolution?.state ?? 0] });
        break;
      }
      case "removed":
        this.remove(event.value.promptId, event.value.version);
        break;
      case "caughtUp":
        this.resumeAt(event.value.resumeToken);
        log("caught up", { open: event.value.openPrompts });
        break;
      case "bookmark":
        this.resumeAt(event.value.resumeToken);
        break;
      case "resetView":
        this.token = "";
        for (const shown of this.open.values()) if (shown.queued) this.restoreCredit(shown);
        this.open.clear();
        break;
    }
  }

  private resumeAt(token: string): void {
    if (token) this.token = token;
  }

  /** Store a prompt. Each one has used a credit: a new one, a changed one, and an older version that is late. */
  private upsert(prompt: Prompt): void {
    const known = this.open.get(prompt.promptId);
    const shown = { prompt, stream: this.stream, queued: true };
    if (known && known.prompt.version >= prompt.version) {
      this.restoreCredit(shown);
      return;
    }
    if (known?.queued) this.restoreCredit(known); // the older version was never handed out
    this.open.set(prompt.promptId, shown);
    this.arrived.resolve();
  }

  private remove(id: string, version: bigint): void {
    const known = this.open.get(id);
    if (!known || known.prompt.version > version) return;
    this.open.delete(id);
    if (known.queued) this.restoreCredit(known);
  }

  /** Let the server push one more prompt, on the stream that pushed this one. */
  private restoreCredit({ stream }: Shown): void {
    if (!this.credit || stream !== this.stream) return;
    this.session.send(create(ConverseClientFrameSchema, { body: { case: "credit", value: { prompts: 1 } } }));
  }
}
