// Opens the page for the person who is signed in: after a look at the session, or after the form.

import { signal } from "@preact/signals";
import type { Session } from "../model/session";
import type { Started } from "../model/start";
import type { Page } from "./page";
import { Works } from "./works";

/** Opens the inbox and the drafts of the person who is signed in. */
export type Open = (session: Session) => Promise<Started>;

export type Opening =
  | { readonly kind: "asking" }
  | { readonly kind: "down" }
  | { readonly kind: "signed_out"; readonly session: Session }
  | { readonly kind: "open"; readonly page: Page; readonly close: () => void };

/** Keeps at most one inbox open: the form and the look at the session may find a person at the same moment. */
export class Opener {
  readonly state = signal<Opening>({ kind: "asking" });
  readonly #open: Open;
  readonly #fetchSession: () => Promise<Session>;
  readonly #leave: () => void;
  /** The last of the openings, which wait for each other. */
  #last: Promise<void> = Promise.resolve();

  /** `leave` closes what the person before had open. */
  constructor(open: Open, fetchSession: () => Promise<Session>, leave: () => void) {
    this.#open = open;
    this.#leave = leave;
    this.#fetchSession = fetchSession;
  }

  /** Look who is signed in, unless the page knows it. Rejects with CallError. */
  async look(): Promise<void> {
    if (this.#isSignedIn()) return;
    const session = await this.#fetchSession();
    if (session.signedIn) await this.#inTurn(async () => this.#isSignedIn() || (await this.#enter(session)));
    else if (this.state.peek().kind !== "open") this.state.value = { kind: "signed_out", session };
  }

  /** The person has signed in with the form. */
  enter(session: Session): Promise<void> {
    return this.#inTurn(() => this.#enter(session));
  }

  /** The person has signed out in another tab: nothing of theirs stays on the screen, or is saved again. */
  left(subject: string): Promise<void> {
    return this.#inTurn(async () => {
      const before = this.state.peek();
      if (before.kind !== "open" || before.page.session.subject !== subject) return;
      // Before the end, which would save what was typed last.
      void before.page.drafts.clear();
      before.close();
      this.state.value = { kind: "asking" };
    });
  }

  #isSignedIn(): boolean {
    const now = this.state.peek();
    return now.kind === "open" && now.page.inbox.link.peek() !== "signed_out";
  }

  #inTurn(run: () => Promise<unknown>): Promise<void> {
    const done = this.#last.then(run).then(() => {});
    this.#last = done.catch(() => {});
    return done;
  }

  async #enter(session: Session): Promise<void> {
    const before = this.state.peek();
    if (before.kind === "open") {
      // The same person's page goes on, with the text on it; another person starts with an empty page.
      if (before.page.inbox.signedIn(session)) return;
      before.close();
      this.#leave();
    }
    const { inbox, drafts, close } = await this.#open(session);
    this.state.value = { kind: "open", page: { inbox, drafts, session, works: new Works(drafts) }, close };
  }
}
