import { type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { Clock, Random, TextStore } from "../wire/environment";
import { Ladder } from "../wire/ladder";
import type { AnswerPromptRequest, AnswerResult } from "../wire/messages";
import { fateOf } from "./answer_errors";
import { CallError } from "./call_error";
import type { AnswerBody, Submission } from "./inbox";

/** The ways of an answer. Both reject with CallError, and resolve with any verdict. */
interface Routes {
  /** True: the socket takes requests. */
  socketOpen(): boolean;
  bySocket(request: AnswerPromptRequest): Promise<AnswerResult>;
  byPost(request: AnswerPromptRequest): Promise<AnswerResult>;
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
  /** A verdict came: the prompt as it is now. */
  learned(result: AnswerResult): void;
  /** The service does not know the person any more. */
  signedOut(): void;
}

/** What is stored of an answer on its way. */
interface Stored {
  readonly subject: string;
  readonly request: AnswerPromptRequest;
}

interface Pending {
  readonly request: AnswerPromptRequest;
  readonly body: AnswerBody;
  readonly ladder: Ladder;
  cancel: () => void;
}

export const STORE_PREFIX = "askback.answer.";
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
    for (const [key, { subject, request }] of this.#stored()) {
      if (subject === this.#options.subject && request.promptId && STORE_PREFIX + request.promptId === key) {
        this.#begin(request);
      }
    }
  }

  /** Returns false, and does nothing, while an answer to the prompt is on its way. */
  submit(body: AnswerBody): boolean {
    if (this.#pending.has(body.promptId)) {
      return false;
    }
    const request: AnswerPromptRequest = { ...body, answerId: this.#options.newId() };
    this.#store(request);
    this.#begin(request);
    return true;
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
    for (const pending of this.#pending.values()) {
      this.#send(pending);
    }
  }

  /** Sends nothing until `resend`: the browser's cookie may be another person's now. What is stored stays. */
  hold(): void {
    this.#isHeld = true;
    for (const pending of this.#pending.values()) {
      pending.cancel();
    }
  }

  #begin(request: AnswerPromptRequest): void {
    const { answerId = "", ...rest } = request;
    const body = rest as AnswerBody;
    const pending: Pending = { request, body, ladder: new Ladder(this.#options.random), cancel: () => {} };
    this.#ours.add(answerId);
    this.#pending.set(body.promptId, pending);
    const since = this.#options.clock.now();
    this.#state(body.promptId).value = { state: "sending", since, body };
    this.#options.clock.after(UNCONFIRMED_MS, () => {
      if (this.#pending.get(body.promptId) === pending) {
        this.#state(body.promptId).value = { state: "unconfirmed", since, body };
      }
    });
    this.#send(pending);
  }

  #send(pending: Pending): void {
    const { routes } = this.#options;
    this.#sendBy(pending, routes.socketOpen() ? routes.bySocket : routes.byPost);
  }

  #sendBy(pending: Pending, route: Routes["bySocket"]): void {
    pending.cancel();
    // A reply may be lost although the socket lives. The other route asks for the same verdict.
    pending.cancel = this.#options.clock.after(UNCONFIRMED_MS + pending.ladder.next(), () =>
      this.#sendBy(pending, this.#options.routes.byPost),
    );
    route(pending.request).then(
      (result) => this.#judged(pending, result),
      (error: unknown) => this.#failed(pending, error),
    );
  }

  #judged(pending: Pending, result: AnswerResult): void {
    const prompt = result.prompt ?? {};
    const { body } = pending;
    if (!this.#isWaiting(pending)) {
      return;
    }
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
    this.#options.learned(result);
  }

  #failed(pending: Pending, error: unknown): void {
    if (!this.#isWaiting(pending)) {
      return;
    }
    const call = error instanceof CallError ? error : new CallError({ code: "unknown", message: `${error}` });
    const fate = fateOf(call);
    if (fate === "refused") {
      this.#finish(pending, { state: "refused", error: call, body: pending.body });
      return;
    }
    pending.cancel();
    if (fate === "sign_in") {
      this.hold();
      this.#options.signedOut();
    }
    if (this.#isHeld) {
      return;
    }
    const wait = pending.ladder.next(call.retryAfterMs ?? 0);
    pending.cancel = this.#options.clock.after(wait, () => this.#send(pending));
  }

  #isWaiting(pending: Pending): boolean {
    return this.#pending.get(pending.body.promptId) === pending;
  }

  #finish(pending: Pending, result: Submission): void {
    const { promptId } = pending.body;
    pending.cancel();
    this.#pending.delete(promptId);
    try {
      this.#options.store.remove(STORE_PREFIX + promptId);
    } catch {
      // It stays stored, and is sent once more after a reload: the verdict is the same.
    }
    this.#state(promptId).value = result;
  }

  #store(request: AnswerPromptRequest): void {
    const stored: Stored = { subject: this.#options.subject, request };
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
