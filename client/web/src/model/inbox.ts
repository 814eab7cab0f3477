import type { ReadonlySignal } from "@preact/signals-core";
import type {
  Decision,
  Edit,
  FieldViolation,
  Methods,
  Prompt,
  PromptFilter,
  Resolution,
} from "../wire/messages";
import type { CallError } from "./call_error";
import type { Session } from "./session";

/** The state of the connection. Only in "live" may a person decide. */
export type Link =
  | "connecting"
  | "catching_up"
  | "live"
  | "offline"
  | "signed_out"
  | "forbidden"
  | "page_too_old";

/**
 * A prompt of the view. One that closed while the page was open stays, as a tombstone; the newest 300 of them. A page
 * that shows an older one reads it with `load`.
 */
export interface Row {
  /** The newest content that the page has. Of a tombstone: as it was when it closed. */
  readonly prompt: Prompt;
  readonly closed?: Closed;
  /** True: it left the view without being closed (audience, filter, deleted with its job). */
  readonly removed?: boolean;
  /** `performance.now()` when the row first appeared in this page. */
  readonly arrivedAt: number;
}

export interface Closed {
  readonly resolution: Resolution;
  /** The id of the answer that counts. Empty: it ended without an answer. */
  readonly answerId: string;
  /** True: the answer that counts was given in this page. */
  readonly mine: boolean;
  /** Server time in ms. */
  readonly at: number;
}

/** What closed and what was added while the page had no connection. `since` is server time in ms. */
export interface Away {
  readonly closed: number;
  readonly added: number;
  readonly since: number;
}

/** What a person decided. `revision` and `shownDigest` are those of the painted content. */
export interface AnswerBody {
  readonly promptId: string;
  readonly revision: number;
  /** Left out where the service has none: it is older. */
  readonly shownDigest?: string;
  readonly decision: Decision;
  readonly valuesJson?: string;
  readonly edits?: readonly Edit[];
  readonly comment?: string;
}

/** Which content of which prompt was painted. */
export type Shown = Pick<AnswerBody, "promptId" | "revision" | "shownDigest">;
/** What a person decided, without the prompt. */
export type Decided = Omit<AnswerBody, keyof Shown>;

/**
 * The course of one answer. "sending" and "unconfirmed" are the same wait, before and after 5 s: the form stays
 * locked to the body that was sent, which is sent again unchanged until the service's word is known.
 */
export type Submission =
  | { readonly state: "sending"; readonly since: number; readonly body: AnswerBody }
  | { readonly state: "unconfirmed"; readonly since: number; readonly body: AnswerBody }
  | { readonly state: "accepted"; readonly replayed: boolean; readonly prompt: Prompt }
  | { readonly state: "recorded"; readonly replayed: boolean; readonly prompt: Prompt }
  | { readonly state: "closed"; readonly prompt: Prompt; readonly body: AnswerBody }
  | { readonly state: "stale"; readonly prompt: Prompt; readonly body: AnswerBody }
  | {
      readonly state: "invalid";
      readonly violations: readonly FieldViolation[];
      readonly prompt: Prompt;
      readonly body: AnswerBody;
    }
  | { readonly state: "refused"; readonly error: CallError; readonly body: AnswerBody };

/** The prompts of one view, live. */
export interface Inbox {
  readonly rows: ReadonlySignal<ReadonlyMap<string, Row>>;
  readonly link: ReadonlySignal<Link>;
  /** Why the connection is as it is, for people; a close reason, for example. Empty: nothing to say. */
  readonly linkReason: ReadonlySignal<string>;
  readonly away: ReadonlySignal<Away | null>;
  dismissAway(): void;
  /** False from the loss of liveness until the view has caught up. */
  readonly canDecide: ReadonlySignal<boolean>;
  /** `performance.now()` of the last wake-up or catch-up: keys that were pressed within 300 ms do nothing. */
  readonly steadySince: ReadonlySignal<number>;
  /** Who is signed in, as the gateway said last. */
  readonly session: ReadonlySignal<Session>;
  /** True: the gateway serves a newer page. Offer "reload (drafts are kept)"; never reload by itself. */
  readonly newerPage: ReadonlySignal<boolean>;
  /**
   * Calls the function with each change of the rows, before the next frame is read, also in a hidden page: drawing
   * waits for the screen there. `isLive`: the view is complete. Returns a function that ends it.
   */
  follow(take: (isLive: boolean) => void): () => void;
  /** The filter of the view; a change takes a new snapshot. */
  setFilter(namespace: string, filter: PromptFilter): void;
  /** The time of the service in ms, by the measured offset. */
  now(): number;
  /** Rejects with CallError. Without `seconds`: 10 minutes. */
  claim(id: string, seconds?: number): Promise<Prompt>;
  /** Rejects with CallError. */
  release(id: string): Promise<Prompt>;
  /**
   * Makes the answer id, stores the body, sends it. Returns false, and does nothing, without a live view (an answer
   * never waits for a connection) and while an answer to this prompt is on its way.
   */
  submit(answer: AnswerBody): boolean;
  /**
   * Sends one decision on each of these prompts, as `submit` sends an answer. Each has its own submission, whose prompt
   * is the newest that the view has: the change that the answer made may come later.
   */
  submitTogether(shown: readonly Shown[], decided: Decided): boolean;
  submission(id: string): ReadonlySignal<Submission | null>;
  /** Forgets a result, so that the form can be used again. Does nothing while the answer is on its way. */
  forgetSubmission(id: string): void;
  /** Reads one prompt in any state. Rejects with CallError. */
  load(id: string): Promise<Row>;
  /** A unary call by POST. Rejects with CallError. */
  call<M extends keyof Methods>(method: M, body: Methods[M]["request"]): Promise<Methods[M]["response"]>;
  /**
   * The person signed in again, in this page: connects, and sends again what had no verdict. Returns false, and does
   * nothing, if it is another person: then the page opens another inbox.
   */
  signedIn(session: Session): boolean;
  /** Says goodbye and ends the connection. */
  close(): void;
}
