// What is read of a job by unary calls: the job, its questions and, for its page, its checkpoints.

import { type Signal, signal } from "@preact/signals";
import type { Inbox } from "../../model/inbox";
import type { Checkpoint, Job, Prompt } from "../../wire/messages";
import { isClient } from "../roles";
import { idOf } from "../prompt_facts";

/** Every state: without states the service lists open questions only. */
const PROMPT_STATES = [
  "PROMPT_STATE_PENDING",
  "PROMPT_STATE_ANSWERED",
  "PROMPT_STATE_EXPIRED",
  "PROMPT_STATE_CANCELLED",
  "PROMPT_STATE_SUPERSEDED",
] as const;

/** A job as it was read last. Each read replaces all of it; reads never overlap. */
export class Reading {
  readonly job = signal<Job | null>(null);
  readonly prompts = signal<readonly Prompt[]>([]);
  readonly error: Signal<unknown> = signal(null);
  protected readonly inbox: Inbox;
  protected readonly jobId: string;
  #isReading = false;
  #isStale = false;

  constructor(inbox: Inbox, jobId: string) {
    this.inbox = inbox;
    this.jobId = jobId;
  }

  /** Read it, or read it once more if a read is under way. */
  async read(): Promise<void> {
    if (this.#isReading) {
      this.#isStale = true;
      return;
    }
    this.#isReading = true;
    do {
      this.#isStale = false;
      try {
        await this.readAll();
        this.error.value = null;
      } catch (problem) {
        this.error.value = problem;
      }
    } while (this.#isStale);
    this.#isReading = false;
  }

  protected async readAll(): Promise<void> {
    const { inbox, jobId } = this;
    const { job } = await inbox.call("JobService/GetJob", { jobId, consistency: "CONSISTENCY_STRONG" });
    this.job.value = job ?? null;
    const prompts: Prompt[] = [];
    let pageToken = "";
    do {
      const filter = { jobId, states: PROMPT_STATES };
      const page = { namespace: job?.namespace ?? "", filter, pageSize: 200, pageToken };
      const reply = await inbox.call("HitlService/ListPrompts", page);
      prompts.push(...(reply.prompts ?? []));
      pageToken = reply.nextPageToken ?? "";
    } while (pageToken !== "");
    this.prompts.value = prompts.sort((one, other) => (one.round ?? 0) - (other.round ?? 0));
  }
}

/** A job with its checkpoints, which may be large. */
export class FullReading extends Reading {
  /** Null: the person may not read checkpoints. */
  readonly checkpoints = signal<readonly Checkpoint[] | null>(null);

  protected override async readAll(): Promise<void> {
    await super.readAll();
    if (!isClient(this.inbox.session.peek())) return;
    const checkpoints: Checkpoint[] = [];
    let pageToken = "";
    do {
      const page = { jobId: this.jobId, pageToken };
      const reply = await this.inbox.call("WorkerService/ListCheckpoints", page);
      checkpoints.push(...(reply.checkpoints ?? []));
      pageToken = reply.nextPageToken ?? "";
    } while (pageToken !== "");
    this.checkpoints.value = checkpoints;
  }
}

/** The titles of questions by their ids. */
export function titlesOf(prompts: readonly Prompt[]): ReadonlyMap<string, string> {
  return new Map(prompts.map((one) => [idOf(one), one.content?.title ?? ""]));
}
