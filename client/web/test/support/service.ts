import type { OpenSocket, SocketEvents } from "../../src/wire/environment";
import type {
  AnswerPromptRequest,
  AnswerPromptsRequest,
  AnswerPromptsResponse,
  AnswerResult,
  AnswerStatus,
  ConverseClientFrame,
  ConverseServerFrame,
  Prompt,
  PromptEvent,
} from "../../src/wire/messages";
import type { Fetch } from "../../src/wire/unary";
import type { FakeClock } from "./clock";

/** How the network misbehaves: probabilities from 0 to 1. */
export interface Faults {
  refuse: number;
  /** A message gets lost, and with it everything after it, without an end: a dead socket. */
  die: number;
  /** The socket ends with a code. */
  end: number;
  double: number;
  delayMs: number;
  goAway: number;
  reset: number;
}

export const NO_FAULTS: Faults = { refuse: 0, die: 0, end: 0, double: 0, delayMs: 0, goAway: 0, reset: 0 };
const CODES = [1001, 1006, 1011, 1012, 1013, 4408];

interface Stored {
  prompt: Prompt;
  readonly verdicts: Map<string, { content: string; result: AnswerResult }>;
}

/** The service as the contract describes it, with a log of changes from which views resume. */
export class FakeService {
  readonly prompts = new Map<string, Stored>();
  readonly faults: Faults = { ...NO_FAULTS };
  readonly clock: FakeClock;
  readonly random: () => number;
  readonly conversations = new Set<Conversation>();
  epoch = 1;
  log: PromptEvent[] = [];
  sockets = 0;
  #asked = 0;
  #version = 0;

  constructor(clock: FakeClock, random: () => number) {
    this.clock = clock;
    this.random = random;
  }

  happens(probability: number): boolean {
    return this.random() < probability;
  }

  get token(): string {
    return `${this.epoch}:${this.log.length}`;
  }

  /** From where a resume token continues; null if it cannot be honoured. */
  position(token: string): number | null {
    const [epoch, position] = token.split(":").map(Number);
    return epoch === this.epoch && position !== undefined && position <= this.log.length ? position : null;
  }

  get open(): Prompt[] {
    return [...this.prompts.values()].map(({ prompt }) => prompt).filter((prompt) => !prompt.resolution);
  }

  ask(): string {
    const promptId = `p${++this.#asked}`;
    this.prompts.set(promptId, {
      prompt: { promptId, revision: 1, state: "PROMPT_STATE_PENDING" },
      verdicts: new Map(),
    });
    this.#change(promptId, {});
    return promptId;
  }

  amend(promptId: string): void {
    this.#change(promptId, { revision: (this.prompts.get(promptId)?.prompt.revision ?? 0) + 1 });
  }

  answer(request: AnswerPromptRequest, subject = "ana"): AnswerResult {
    const promptId = request.promptId ?? "";
    const answerId = request.answerId ?? "";
    const stored = this.prompts.get(promptId);
    if (!stored) {
      throw new Error(`no prompt ${promptId}`);
    }
    const content = JSON.stringify([subject, request]);
    const before = stored.verdicts.get(answerId);
    if (before) {
      if (before.content !== content) {
        throw new Error(`ID_REUSED: ${content} after ${before.content}`);
      }
      return { ...before.result, replayed: true, prompt: stored.prompt };
    }
    const status = this.#judge(stored.prompt, request);
    if (status === "ANSWER_STATUS_ACCEPTED") {
      const answer = { answerId, userId: subject };
      const time = new Date(this.clock.wall()).toISOString();
      const state = "PROMPT_STATE_ANSWERED";
      this.#change(promptId, { state, resolution: { state, answer, actor: subject, time } });
    } else if (status === "ANSWER_STATUS_STALE") {
      this.#change(promptId, {});
    }
    const result: AnswerResult = { status, answerId, prompt: stored.prompt };
    stored.verdicts.set(answerId, { content, result });
    return result;
  }

  answerTogether({ items = [], ...decided }: AnswerPromptsRequest): AnswerPromptsResponse {
    const results = items.map((item) => {
      const { prompt, ...verdict } = this.answer({ ...item, ...decided });
      return { promptId: item.promptId ?? "", ...verdict };
    });
    return { results };
  }

  /** The database was restored to an earlier state: versions begin again, and some closed prompts are open. */
  loseHistory(): void {
    this.epoch += 1;
    this.log = [];
    this.#version = 0;
    for (const stored of this.prompts.values()) {
      stored.prompt = { ...stored.prompt, version: `${++this.#version}` };
    }
    for (const conversation of this.conversations) {
      conversation.restart(true);
    }
  }

  readonly openSocket: OpenSocket = (events) => {
    this.sockets += 1;
    const conversation = new Conversation(this, events);
    return { send: (text) => conversation.take(text), close: () => conversation.drop() };
  };

  /** `POST /askback.v1.…` and `GET /session`. */
  readonly fetch: Fetch = async (path, init) => {
    await this.#delay();
    if (this.happens(this.faults.refuse)) {
      throw new TypeError("Failed to fetch");
    }
    const reply = this.#serve(path, init);
    await this.#delay();
    if (this.happens(this.faults.die)) {
      throw new TypeError("the reply was lost");
    }
    return reply;
  };

  #serve(path: string, init: RequestInit): Response {
    if (path === "/session") {
      const serverTime = new Date(this.clock.wall()).toISOString();
      return Response.json({ signedIn: true, subject: "ana", pageVersion: "v1", serverTime });
    }
    if (path.endsWith("/AnswerPrompts")) {
      return Response.json(this.answerTogether(JSON.parse(String(init.body)) as AnswerPromptsRequest));
    }
    const result = this.answer(JSON.parse(String(init.body)) as AnswerPromptRequest);
    if (result.status === "ANSWER_STATUS_ACCEPTED") {
      return Response.json({ result });
    }
    const details = [{ type: "askback.v1.AnswerResult", debug: result }];
    return Response.json({ code: "failed_precondition", message: "", details }, { status: 400 });
  }

  #delay(): Promise<void> {
    const ms = this.random() * this.faults.delayMs;
    return ms < 1 ? Promise.resolve() : new Promise((resolve) => this.clock.after(ms, resolve));
  }

  #judge(prompt: Prompt, request: AnswerPromptRequest): AnswerStatus {
    if (prompt.resolution) {
      return "ANSWER_STATUS_CLOSED";
    }
    return request.revision === prompt.revision ? "ANSWER_STATUS_ACCEPTED" : "ANSWER_STATUS_STALE";
  }

  #change(promptId: string, fields: Partial<Prompt>): void {
    const stored = this.prompts.get(promptId);
    if (!stored) {
      return;
    }
    const version = `${++this.#version}`;
    stored.prompt = { ...stored.prompt, ...fields, version };
    const { resolution } = stored.prompt;
    const answerId = resolution?.answer?.answerId ?? "";
    this.log.push(
      resolution
        ? { closed: { promptId, version, resolution, answerId } }
        : { upserted: { prompt: stored.prompt } },
    );
    for (const conversation of [...this.conversations]) {
      conversation.follow();
    }
  }
}

/** The server's side of one socket. */
class Conversation {
  readonly #service: FakeService;
  readonly #events: SocketEvents;
  #dead = false;
  #over = false;
  #opened = false;
  #position = 0;
  /** The open prompts of a resumed view are not counted. */
  #resumed = false;
  #credit = 0;
  #live = false;
  #snapshot: Prompt[] = [];
  /** Messages come in the order in which they were sent. */
  #lastArrival = 0;

  constructor(service: FakeService, events: SocketEvents) {
    this.#service = service;
    this.#events = events;
    this.#later(() => {
      if (service.happens(service.faults.refuse)) {
        this.#end(1006);
      } else {
        this.#opened = true;
        events.opened();
      }
    });
  }

  take(text: string): void {
    if (this.#dead || this.#over || !this.#opened) {
      return;
    }
    this.#later(() => {
      for (const frame of (JSON.parse(text) as { frames: ConverseClientFrame[] }).frames) {
        this.#frame(frame);
      }
    });
  }

  /** The page closes the socket. */
  drop(): void {
    this.#over = true;
    this.#service.conversations.delete(this);
  }

  restart(historyLost: boolean): void {
    if (!this.#service.conversations.has(this)) {
      return;
    }
    this.#send({ promptEvent: { resetView: { historyLost } } });
    this.#begin();
  }

  /** Sends what the log has more, or the rest of the snapshot, as far as there is credit. */
  follow(): void {
    const frames: ConverseServerFrame[] = [];
    while (this.#snapshot.length > 0 && this.#credit > 0) {
      this.#credit -= 1;
      const stored = this.#snapshot.shift();
      frames.push({ promptEvent: { upserted: stored ? { prompt: stored } : {} } });
    }
    while (this.#snapshot.length === 0 && this.#position < this.#service.log.length) {
      const promptEvent = this.#service.log[this.#position] ?? {};
      if (promptEvent.upserted) {
        if (this.#credit === 0) {
          break;
        }
        this.#credit -= 1;
      }
      this.#position += 1;
      frames.push({ promptEvent });
    }
    const reached = this.#snapshot.length === 0 && this.#position === this.#service.log.length;
    if (reached && !this.#live) {
      this.#live = true;
      const openPrompts = this.#resumed ? -1 : this.#service.open.length;
      frames.push({ promptEvent: { caughtUp: { resumeToken: this.#service.token, openPrompts } } });
    }
    this.#send(...frames);
  }

  #begin(): void {
    this.#live = this.#resumed = false;
    this.#position = this.#service.log.length;
    this.#snapshot = [...this.#service.open];
    this.follow();
  }

  #frame(frame: ConverseClientFrame): void {
    const service = this.#service;
    if (frame.hello) {
      this.#credit = frame.hello.credit ?? 0;
      service.conversations.add(this);
      this.#send({ welcome: { heartbeatInterval: "15s", maxInFlight: 4, maxMessageBytes: 1_000_000 } });
      const token = frame.hello.resumeToken ?? "";
      const position = token ? service.position(token) : null;
      if (position !== null) {
        this.#position = position;
        this.#resumed = true;
        this.follow();
      } else if (token) {
        this.restart(service.epoch > 1);
      } else {
        this.#begin();
      }
      this.#beat();
    } else if (frame.credit) {
      this.#credit += frame.credit.prompts ?? 0;
      this.follow();
    } else if (frame.goodbye) {
      service.conversations.delete(this);
      this.#later(() => this.#end(1000));
    } else if (frame.answerPrompts) {
      this.#send({ ref: frame.ref ?? "", answerPrompts: service.answerTogether(frame.answerPrompts) });
    } else if (frame.answerPrompt) {
      this.#send({ ref: frame.ref ?? "", answerPrompt: { result: service.answer(frame.answerPrompt) } });
    }
  }

  #beat(): void {
    this.#service.clock.after(15_000, () => {
      if (this.#over || this.#dead || !this.#service.conversations.has(this)) {
        return;
      }
      const { clock, faults, token } = this.#service;
      const time = new Date(clock.wall()).toISOString();
      this.#send({ heartbeat: { time, ...(this.#live ? { resumeToken: token } : {}) } });
      if (this.#service.happens(faults.goAway)) {
        this.#send({ goAway: { after: "10s" } });
        clock.after(10_000, () => this.#end(1012));
      } else if (this.#service.happens(faults.reset)) {
        this.restart(false);
      }
      this.#beat();
    });
  }

  #send(...frames: ConverseServerFrame[]): void {
    const { faults } = this.#service;
    if (frames.length === 0 || this.#dead || this.#over) {
      return;
    }
    if (this.#service.happens(faults.die)) {
      this.#dead = true;
      return;
    }
    const text = JSON.stringify({ frames });
    const times = this.#service.happens(faults.double) ? 2 : 1;
    for (let time = 0; time < times; time += 1) {
      this.#later(() => this.#events.received(text));
    }
    if (this.#service.happens(faults.end)) {
      const code = CODES[Math.floor(this.#service.random() * CODES.length)] ?? 1006;
      this.#later(() => this.#end(code));
    }
  }

  #end(code: number): void {
    if (!this.#over) {
      this.#over = true;
      this.#service.conversations.delete(this);
      this.#events.closed(code, "");
    }
  }

  #later(run: () => void): void {
    const { clock, faults, random } = this.#service;
    this.#lastArrival = Math.max(clock.now() + random() * faults.delayMs, this.#lastArrival);
    clock.after(this.#lastArrival - clock.now(), () => {
      if (!this.#dead && !this.#over) {
        run();
      }
    });
  }
}
