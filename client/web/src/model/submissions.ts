import { type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { Clock, Random, TextStore } from "../wire/environment";
import { Ladder } from "../wire/ladder";
import type { AnswerPromptRequest, AnswerResult } from "../wire/messages";
import { fateOf } from "./answer_errors";
import { CallError } from "./call_error";
import type { AnswerBody, Submission } from "./inbox";

/** What became of one answer: any verdict, or why there is none. */
export type Outcome = AnswerResult | CallError;

/**
 * A way of the answers of one call; with a `batchId` they are one joint decision. Resolves with an outcome for each, in
 * their order. Rejects with CallError where the call as a whole failed.
 */
type Route = (requests: readonly AnswerPromptRequest[], batchId: string) => Promise<readonly Outcome[]>;

export interface Routes {
  /** True: the socket takes requests. */
  socketOpen(): boolean;
  readonly bySocket: Route;
  readonly byPost: Route;
}

interface SubmissionsOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Of this tab only; survives a reload. */
  readonly store: TextStore;
  /** Who answers: another person who signs in later must not send what this one pressed. */
  readonly subject: string;
  /** 128 random bits as text. */
  newId(): string;
  readonly routes: Routes;
  /** A verdict came; of one answer by itself with the prompt as it is now. */
  learned(result: AnswerResult, promptId: string, isJoint: boolean): void;
  /** The service does not know the person any more. */
  signedOut(): void;
}

/** What is stored of an answer on its way. */
interface Stored {
  readonly subject: string;
  readonly request: AnswerPromptRequest;
  /** Of a joint decision. */
  readonly batchId?: string;
}

interface Pending {
  readonly request: AnswerPromptRequest;
  readonly body: AnswerBody;
  readonly call: Call;
}

/** Answers that are sent together until each has its result. */
interface Call {
  /** Empty: it is one answer by itself. */
  readonly batchId: string;
  readonly waiting: Set<Pending>;
  readonly ladder: Ladder;
  cancel: () => void;
}

export const STORE_PREFIX = "askback.answer.";
/** The most prompts that one call may name. */
const MAX_ITEMS = 200;
/** After this time the page says that the verdict is late. It is never taken for a failure. */
const UNCONFIRMED_MS = 5000;

/**
 * Answers on their way. Each has an id that is made at the press and stored with its exact content before it is
 * sent; it is sent again, unchanged and over any route, until the service's word is known. The service counts equal
 * ids once, so sending twice is harmless, and forgetting one is not.
 */
export class Submissions {
  readonly #options: SubmissionsOptions;
  readonly #pending = new Map<string, Pending>();
  readonly #states = new Map<string, Signal<Submission | null>>();
  readonly #ours = new Set<string>();
  #isHeld = false;

  constructor(options: SubmissionsOptions) {
    this.#options = options;
  }

  /** Sends what an earlier load of this tab did not finish. */
  resume(): void {
    const found = new Map<string, AnswerPromptRequest[]>();
    for (const [key, { subject, request, batchId = "" }] of this.#stored()) {
      if (subject === this.#options.subject && request.promptId && STORE_PREFIX + request.promptId === key) {
        if (batchId === "") this.#begin([request], "");
        else found.set(batchId, [...(found.get(batchId) ?? []), request]);
      }
    }
    for (const [batchId, requests] of found) this.#begin(requests, batchId);
  }

  /**
   * Sends an answer; with a `batchId` one decision on several prompts. Leaves out the prompts to which an answer is on
   * its way. Returns false if it leaves out all.
   */
  submit(bodies: readonly AnswerBody[], batchId = ""): boolean {
    const requests = bodies
      .filter((body) => !this.#pending.has(body.promptId))
      .map((body): AnswerPromptRequest => ({ ...body, answerId: this.#options.newId() }));
    for (const request of requests) this.#store(request, batchId);
    this.#begin(requests, batchId);
    return requests.length > 0;
  }

  state(promptId: string): ReadonlySignal<Submission | null> {
    return this.#state(promptId);
  }

  forget(promptId: string): void {
    if (!this.#pending.has(promptId)) {
      this.#state(promptId).value = null;
    }
  }

  /** True: this page made the answer. */
  isMine(answerId: string): boolean {
    return this.#ours.has(answerId);
  }

  /** Prompts whose verdict is not known. */
  get waiting(): readonly string[] {
    return [...this.#pending.keys()];
  }

  /** A new socket is open, or the person signed in again: sends everything again at once. */
  resend(): void {
    this.#isHeld = false;
    for (const call of this.#calls()) {
      this.#send(call);
    }
  }

  /** Sends nothing until `resend`: the browser's cookie may be another person's now. What is stored stays. */
  hold(): void {
    this.#isHeld = true;
    for (const call of this.#calls()) {
      call.cancel();
    }
  }

  #calls(): ReadonlySet<Call> {
    return new Set([...this.#pending.values()].map(({ call }) => call));
  }

  #begin(requests: readonly AnswerPromptRequest[], batchId: string): void {
    for (let from = 0; from < requests.length; from += MAX_ITEMS) {
      this.#beginCall(requests.slice(from, from + MAX_ITEMS), batchId);
    }
  }

  #beginCall(requests: readonly AnswerPromptRequest[], batchId: string): void {
    const call: Call = {
      batchId,
      waiting: new Set(),
      ladder: new Ladder(this.#options.random),
      cancel: () => {},
    };
    const since = this.#options.clock.now();
    const show = (state: "sending" | "unconfirmed") => {
      for (const { body } of call.waiting) this.#state(body.promptId).value = { state, since, body };
    };
    for (const request of requests) {
      const { answerId = "", ...rest } = request;
      const body = rest as AnswerBody;
      const pending: Pending = { request, body, call };
      this.#ours.add(answerId);
      this.#pending.set(body.promptId, pending);
      call.waiting.add(pending);
    }
    show("sending");
    this.#options.clock.after(UNCONFIRMED_MS, () => show("unconfirmed"));
    this.#send(call);
  }

  #send(call: Call): void {
    const { routes } = this.#options;
    this.#sendBy(call, routes.socketOpen() ? routes.bySocket : routes.byPost);
  }

  #sendBy(call: Call, route: Route): void {
    call.cancel();
    // A reply may be lost although the socket lives. The other route asks for the same verdict.
    call.cancel = this.#options.clock.after(UNCONFIRMED_MS + call.ladder.next(), () =>
      this.#sendBy(call, this.#options.routes.byPost),
    );
    const sent = [...call.waiting];
    const requests = sent.map(({ request }) => request);
    route(requests, call.batchId).then(
      (outcomes) => this.#ended(call, sent, outcomes),
      (error: unknown) => {
        const failure =
          error instanceof CallError ? error : new CallError({ code: "unknown", message: `${error}` });
        this.#ended(
          call,
          sent,
          requests.map(() => failure),
        );
      },
    );
  }

  /** Each answer has its own outcome. Those without a verdict are sent again, together. */
  #ended(call: Call, sent: readonly Pending[], outcomes: readonly Outcome[]): void {
    const again: CallError[] = [];
    for (const [index, pending] of sent.entries()) {
      const outcome = outcomes[index];
      if (outcome === undefined || !call.waiting.has(pending)) continue;
      if (!(outcome instanceof CallError)) this.#judged(pending, outcome);
      else if (fateOf(outcome) !== "refused") again.push(outcome);
      else this.#finish(pending, { state: "refused", error: outcome, body: pending.body });
    }
    if (again.length === 0) return;
    call.cancel();
    if (again.some((error) => fateOf(error) === "sign_in")) {
      this.hold();
      this.#options.signedOut();
    }
    if (this.#isHeld) return;
    const wait = call.ladder.next(Math.max(...again.map((error) => error.retryAfterMs ?? 0)));
    call.cancel = this.#options.clock.after(wait, () => this.#send(call));
  }

  #judged(pending: Pending, result: AnswerResult): void {
    const prompt = result.prompt ?? {};
    const { body } = pending;
    switch (result.status) {
      case "ANSWER_STATUS_ACCEPTED":
        this.#finish(pending, { state: "accepted", replayed: result.replayed ?? false, prompt });
        break;
      case "ANSWER_STATUS_RECORDED":
        this.#finish(pending, { state: "recorded", replayed: result.replayed ?? false, prompt });
        break;
      case "ANSWER_STATUS_CLOSED":
        this.#finish(pending, { state: "closed", prompt, body });
        break;
      case "ANSWER_STATUS_STALE":
        this.#finish(pending, { state: "stale", prompt, body });
        break;
      case "ANSWER_STATUS_INVALID":
        this.#finish(pending, { state: "invalid", violations: result.violations ?? [], prompt, body });
        break;
      default: {
        const message = `The service gave a verdict that this page does not know (${result.status ?? "none"}).`;
        this.#finish(pending, { state: "refused", error: new CallError({ code: "unknown", message }), body });
      }
    }
    this.#options.learned(result, body.promptId, pending.call.batchId !== "");
  }

  #finish(pending: Pending, result: Submission): void {
    const { promptId } = pending.body;
    const { call } = pending;
    call.waiting.delete(pending);
    if (call.waiting.size === 0) call.cancel();
    this.#pending.delete(promptId);
    try {
      this.#options.store.remove(STORE_PREFIX + promptId);
    } catch {
      // It stays stored, and is sent once more after a reload: the verdict is the same.
    }
    this.#state(promptId).value = result;
  }

  #store(request: AnswerPromptRequest, batchId: string): void {
    const { subject } = this.#options;
    const stored: Stored = batchId === "" ? { subject, request } : { subject, request, batchId };
    try {
      this.#options.store.set(STORE_PREFIX + request.promptId, JSON.stringify(stored));
    } catch {
      // Storage is full or forbidden: the answer is sent all the same, but does not survive a reload.
    }
  }

  #stored(): readonly [string, Stored][] {
    const { store } = this.#options;
    const read = (key: string): readonly [string, Stored][] => {
      try {
        return [[key, JSON.parse(store.get(key) ?? "") as Stored]];
      } catch {
        return []; // What cannot be read cannot be sent.
      }
    };
    try {
      return store
        .keys()
        .filter((key) => key.startsWith(STORE_PREFIX))
        .flatMap(read);
    } catch {
      return [];
    }
  }

  #state(promptId: string): Signal<Submission | null> {
    const known = this.#states.get(promptId);
    if (known) {
      return known;
    }
    const made = signal<Submission | null>(null);
    this.#states.set(promptId, made);
    return made;
  }
}
