import { type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { SessionState } from "../wire/connection";
import type { Clock } from "../wire/environment";
import type { Fetch } from "../wire/unary";
import { CallError } from "./call_error";
import type { Hints } from "./hints";
import { fetchSession, type Session } from "./session";

interface SessionWatchOptions {
  readonly clock: Clock;
  readonly fetch: Fetch;
  readonly hints: Hints;
  readonly session: Session;
  readonly pageVersion: string;
  serverTime(time: string): void;
  /** The session has ended, or belongs to another person. */
  signedOut(): void;
}

/** The cookie lives for 15 minutes after its last use, and frames on the socket do not use it. */
const RENEW_MS = 5 * 60_000;

/** Asks the gateway who is signed in, which renews the cookie, and which version of the page it serves. */
export class SessionWatch {
  readonly #options: SessionWatchOptions;
  readonly #session: Signal<Session>;
  readonly #newerPage = signal(false);
  #cancelRenewal = () => {};

  constructor(options: SessionWatchOptions) {
    this.#options = options;
    this.#session = signal(options.session);
  }

  get session(): ReadonlySignal<Session> {
    return this.#session;
  }

  get newerPage(): ReadonlySignal<boolean> {
    return this.#newerPage;
  }

  start(): void {
    this.note(this.#options.session);
    this.#renew();
  }

  close(): void {
    this.#cancelRenewal();
  }

  isSamePerson(session: Session): boolean {
    return session.signedIn && session.subject === this.#options.session.subject;
  }

  async ask(): Promise<SessionState> {
    let session: Session;
    try {
      session = await fetchSession(this.#options.fetch);
    } catch (error) {
      const code = error instanceof CallError ? error.code : "unknown";
      const states = { unauthenticated: "signed_out", permission_denied: "forbidden" } as const;
      return states[code as keyof typeof states] ?? "down";
    }
    this.note(session);
    if (this.isSamePerson(session)) {
      return "signed_in";
    }
    this.#options.signedOut();
    return "signed_out";
  }

  note(session: Session): void {
    this.#session.value = session;
    if (session.serverTime) {
      this.#options.serverTime(session.serverTime);
    }
    const version = session.pageVersion ?? "";
    const newer = version !== "" && version !== this.#options.pageVersion;
    if (newer && !this.#newerPage.value) {
      this.#options.hints.send({ kind: "new_page" });
    }
    this.#newerPage.value = newer;
  }

  #renew(): void {
    this.#cancelRenewal();
    this.#cancelRenewal = this.#options.clock.after(RENEW_MS, () => {
      this.#renew();
      void this.ask();
    });
  }
}
