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
  /** Not given out as it is now. */
  queued: boolean;
}

/**
 * A person's desk: open prompts come in, answers go out. `id` is stable over restarts; `credit` is how many prompts may
 * come before `prompts` gives them out (0: as many as the stream takes).
 */
export class Console implements Wire<ConverseClientFrame, ConverseServerFrame> {
  private readonly session: Session<ConverseClientFrame, ConverseServerFrame>;
  private readonly open = new Map<string, Shown>();
  private arrived = new Deferred<void>();
  /** Counts streams: credit belongs to one. */
  private stream = 0;
  private token = "";

  constructor(
    server: Server,
    private readonly id: string,
    private readonly credit: number,
  ) {
    this.session = new Session(server, this);
  }

  /** Keep the desk connected until the signal. Throws if the server refuses it for good. */
  async run(signal: AbortSignal): Promise<void> {
    await this.session.run(signal);
  }

  /** Open prompts as they come, and again when they change, until the signal. */
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
   * Submit an answer and return what became of it, however often the connection breaks in between: the request is sent
   * again with its answerId until its result is there, and one answerId has one result.
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

  /** Opens the conversation where the last one ended. */
  hello(): ConverseClientFrame {
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
    this.stream++;
    if (!this.token) this.open.clear(); // a whole snapshot follows
    log("connected", { replica: frame.body.value.replica, resumed: this.token !== "" });
  }

  lost(): void {} // nothing of a console is lost with its stream

  pushed({ body }: ConverseServerFrame): void {
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

  /** Take a prompt as it is now. Whether it is new, changed, or an older image that came late, it used a credit. */
  private upsert(prompt: Prompt): void {
    const known = this.open.get(prompt.promptId);
    const shown = { prompt, stream: this.stream, queued: true };
    if (known && known.prompt.version >= prompt.version) {
      this.restoreCredit(shown);
      return;
    }
    if (known?.queued) this.restoreCredit(known); // the older image was not given out
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
