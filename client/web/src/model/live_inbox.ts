import { computed, effect, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { ClockOffset } from "../wire/clock_offset";
import { Connection } from "../wire/connection";
import type { Clock, OpenSocket, Random, TextStore } from "../wire/environment";
import type { AnswerResult, Methods, Prompt, PromptEvent, PromptFilter } from "../wire/messages";
import { call, type Fetch } from "../wire/unary";
import { answerRoutes } from "./answer_routes";
import { CallError } from "./call_error";
import type { Drafts } from "./drafts";
import type { Hints } from "./hints";
import type { AnswerBody, Away, Decided, Inbox, Link, Row, Shown, Submission } from "./inbox";
import type { Session } from "./session";
import { SessionWatch } from "./session_watch";
import { Submissions } from "./submissions";
import { View } from "./view";

interface InboxOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly openSocket: OpenSocket;
  readonly fetch: Fetch;
  /** Of this tab only. */
  readonly store: TextStore;
  readonly hints: Hints;
  readonly drafts: Pick<Drafts, "remove">;
  readonly session: Session;
  readonly pageVersion: string;
  /** The name of this tab. */
  readonly tab: string;
  readonly namespace: string;
  readonly filter: PromptFilter;
  newId(): string;
  visible(): boolean;
  online(): boolean;
}

/** A shorter gap is not worth "you were away". */
const AWAY_MS = 2000;

/** The inbox over one connection. */
export class LiveInbox implements Inbox {
  readonly link: ReadonlySignal<Link>;
  readonly linkReason: ReadonlySignal<string>;
  readonly canDecide: ReadonlySignal<boolean>;
  readonly #rows = signal<ReadonlyMap<string, Row>>(new Map());
  readonly #away = signal<Away | null>(null);
  readonly #steadySince: Signal<number>;
  readonly #options: InboxOptions;
  readonly #offset: ClockOffset;
  readonly #view: View;
  readonly #connection: Connection;
  readonly #submissions: Submissions;
  readonly #watch: SessionWatch;
  readonly #stopListening: () => void;
  readonly #stopHolding: () => void;
  readonly #followers = new Set<(isLive: boolean) => void>();
  #namespace: string;
  #filter: PromptFilter;
  /** Service time at which the view was last live; null while it is. */
  #lostAt: number | null = null;

  constructor(options: InboxOptions) {
    const { clock, random, store, fetch } = options;
    this.#options = options;
    this.#namespace = options.namespace;
    this.#filter = options.filter;
    this.#steadySince = signal(clock.now());
    this.#offset = new ClockOffset(clock);
    this.#view = new View(
      () => clock.now(),
      (answerId) => this.#submissions.isMine(answerId),
    );
    this.#watch = new SessionWatch({
      clock,
      fetch,
      hints: options.hints,
      session: options.session,
      pageVersion: options.pageVersion,
      serverTime: (time) => this.#offset.sample(time),
      signedOut: () => this.#connection.stop("signed_out", ""),
    });
    this.#connection = new Connection({
      clock,
      random,
      openSocket: options.openSocket,
      visible: options.visible,
      online: options.online,
      hello: () => ({ namespace: this.#namespace, filter: this.#filter, instanceId: options.tab }),
      askSession: () => this.#watch.ask(),
      sink: {
        snapshotBegins: () => this.#view.snapshotBegins(),
        resumes: () => this.#view.resumes(),
        events: (events) => this.#take(events),
        reset: (historyLost) => this.#reset(historyLost),
        agrees: (openPrompts) => this.#agrees(openPrompts),
        live: () => this.#becameLive(),
        lost: (aliveUntil) => this.#lost(aliveUntil),
        serverTime: (time) => this.#offset.sample(time),
        jumped: (ms) => this.#jumped(ms),
        opened: () => this.#opened(),
      },
    });
    this.#submissions = new Submissions({
      clock,
      random,
      store,
      subject: options.session.subject ?? "",
      newId: options.newId,
      routes: answerRoutes(this.#connection, fetch, this.#view),
      learned: (...learned) => this.#learned(...learned),
      signedOut: () => this.#connection.stop("signed_out", ""),
    });
    this.link = this.#connection.link;
    this.linkReason = this.#connection.reason;
    this.canDecide = computed(() => this.link.value === "live");
    this.#stopListening = options.hints.listen(({ kind }) => kind === "seen" || void this.#watch.ask());
    this.#stopHolding = effect(() => {
      if (this.link.value === "signed_out") {
        this.#submissions.hold();
      }
    });
    this.#watch.start();
    this.#submissions.resume();
    this.#connection.start();
  }

  get rows(): ReadonlySignal<ReadonlyMap<string, Row>> {
    return this.#rows;
  }

  get away(): ReadonlySignal<Away | null> {
    return this.#away;
  }

  get steadySince(): ReadonlySignal<number> {
    return this.#steadySince;
  }

  get newerPage(): ReadonlySignal<boolean> {
    return this.#watch.newerPage;
  }

  get session(): ReadonlySignal<Session> {
    return this.#watch.session;
  }

  dismissAway(): void {
    this.#away.value = null;
  }

  follow(take: (isLive: boolean) => void): () => void {
    this.#followers.add(take);
    return () => this.#followers.delete(take);
  }

  setFilter(namespace: string, filter: PromptFilter): void {
    if (JSON.stringify([namespace, filter]) === JSON.stringify([this.#namespace, this.#filter])) {
      return;
    }
    this.#namespace = namespace;
    this.#filter = filter;
    this.#connection.restart();
    this.#view.filterChanged();
    this.#lostAt = null;
  }

  now(): number {
    return this.#offset.now();
  }

  async claim(id: string, seconds?: number): Promise<Prompt> {
    const duration = seconds === undefined ? {} : { duration: `${seconds}s` };
    const reply = await this.#connection.request({ claimPrompt: { promptId: id, ...duration } });
    return this.#learn(reply.claimPrompt?.prompt);
  }

  async release(id: string): Promise<Prompt> {
    const reply = await this.#connection.request({ releasePrompt: { promptId: id } });
    return this.#learn(reply.releasePrompt?.prompt);
  }

  submit(answer: AnswerBody): boolean {
    return this.canDecide.value && this.#submissions.submit([answer]);
  }

  submitTogether(shown: readonly Shown[], decided: Decided): boolean {
    const bodies = shown.map((one) => ({ ...one, ...decided }));
    return this.canDecide.value && this.#submissions.submit(bodies, this.#options.newId());
  }

  submission(id: string): ReadonlySignal<Submission | null> {
    return this.#submissions.state(id);
  }

  forgetSubmission(id: string): void {
    this.#submissions.forget(id);
  }

  async load(id: string): Promise<Row> {
    const { prompt } = await this.call("HitlService/GetPrompt", { promptId: id });
    return this.#view.rowOf(this.#learn(prompt));
  }

  async call<M extends keyof Methods>(
    method: M,
    body: Methods[M]["request"],
  ): Promise<Methods[M]["response"]> {
    try {
      return await call(this.#options.fetch, method, body);
    } catch (error) {
      if (error instanceof CallError && error.code === "unauthenticated") {
        this.#connection.stop("signed_out", error.message);
      }
      throw error;
    }
  }

  signedIn(session: Session): boolean {
    if (!this.#watch.isSamePerson(session)) {
      return false;
    }
    this.#watch.note(session);
    if (this.link.value === "signed_out") {
      this.#connection.start();
      this.#submissions.resend();
    }
    return true;
  }

  /** The page became visible, or came out of the back cache. */
  wake(): void {
    this.#steadySince.value = this.#options.clock.now();
    this.#connection.wake();
  }

  networkChanged(): void {
    this.#connection.networkChanged();
  }

  close(): void {
    this.#stopListening();
    this.#watch.close();
    this.#submissions.hold();
    this.#stopHolding();
    this.#connection.close();
  }

  #take(events: readonly PromptEvent[]): void {
    this.#view.apply(events);
    this.#publish(this.link.peek() === "live");
  }

  #reset(historyLost: boolean): void {
    this.#view.reset(historyLost);
    this.#publish(false);
  }

  #publish(isLive: boolean): void {
    this.#rows.value = this.#view.rows;
    for (const take of this.#followers) {
      take(isLive);
    }
  }

  #lost(aliveUntil: number): void {
    this.#lostAt = this.now() - (this.#options.clock.now() - aliveUntil);
    this.#view.lost();
  }

  #agrees(openPrompts: number): boolean {
    this.#view.finishSnapshot();
    this.#publish(false);
    return this.#view.openCount === openPrompts;
  }

  #becameLive(): void {
    const { closed, added } = this.#view.becameLive();
    const since = this.#lostAt;
    const before = this.#away.value;
    if (since !== null && this.now() - since >= AWAY_MS && closed + added > 0) {
      this.#away.value = {
        closed: closed + (before?.closed ?? 0),
        added: added + (before?.added ?? 0),
        since: before?.since ?? since,
      };
    }
    this.#lostAt = null;
    this.#steadySince.value = this.#options.clock.now();
    this.#publish(true);
  }

  #jumped(ms: number): void {
    this.#offset.jumped(ms);
    this.#steadySince.value = this.#options.clock.now();
  }

  #opened(): void {
    this.#submissions.resend();
    void this.#watch.ask();
  }

  #learned(result: AnswerResult, promptId: string, isJoint: boolean): void {
    if (!isJoint) this.#learn(result.prompt);
    if (result.status === "ANSWER_STATUS_ACCEPTED" || result.status === "ANSWER_STATUS_RECORDED") {
      void this.#options.drafts.remove(promptId);
    }
  }

  #learn(prompt: Prompt | undefined): Prompt {
    if (!prompt) {
      throw new CallError({ code: "internal", message: "The reply has no prompt." });
    }
    this.#view.learn(prompt);
    this.#publish(this.link.peek() === "live");
    return prompt;
  }
}
