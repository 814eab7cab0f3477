import { type ReadonlySignal, signal } from "@preact/signals-core";
import { EventFeed, type EventFeedOptions, type FeedState } from "../wire/event_feed";
import type { Job, JobEvent, JobEventType, WatchJobResponse, WatchJobsResponse } from "../wire/messages";
import type { CallError } from "./call_error";

type Environment = Omit<EventFeedOptions<never>, "path" | "take">;

/** What the pages of jobs need of a feed. */
interface Live {
  readonly state: ReadonlySignal<FeedState>;
  readonly error: ReadonlySignal<CallError | null>;
  wake(): void;
  close(): void;
}

export interface JobList extends Live {
  readonly jobs: ReadonlySignal<ReadonlyMap<string, Job>>;
  /** True: every job that matches is there. */
  readonly complete: ReadonlySignal<boolean>;
}

export interface JobHistory extends Live {
  /** Every event of the job so far, in order. */
  readonly events: ReadonlySignal<readonly JobEvent[]>;
}

function query(values: { readonly [name: string]: string | readonly string[] }): string {
  const pairs = Object.entries(values).flatMap(([name, value]) =>
    (typeof value === "string" ? [value] : value).map((each) => [name, each] as [string, string]),
  );
  const text = new URLSearchParams(pairs.filter(([, value]) => value !== "")).toString();
  return text && `?${text}`;
}

/** Follows the jobs that match: the newest state of each. `filter` has `namespace` and fields of JobFilter. */
export function watchJobs(
  environment: Environment,
  filter: { readonly [name: string]: string | readonly string[] },
): JobList {
  const jobs = signal<ReadonlyMap<string, Job>>(new Map());
  const complete = signal(false);
  /** The jobs of a snapshot that takes the place of what is shown; null outside of one. */
  let snapshot: Map<string, Job> | null = null;
  const take = (message: WatchJobsResponse) => {
    if (message.reset) {
      snapshot = new Map();
    }
    const next = snapshot ?? new Map(jobs.value);
    for (const job of message.jobs ?? []) {
      const known = next.get(job.jobId ?? "");
      if (!known || BigInt(job.version ?? "0") >= BigInt(known.version ?? "0")) {
        next.set(job.jobId ?? "", job);
      }
    }
    for (const id of message.removedJobIds ?? []) {
      next.delete(id);
    }
    if (message.caughtUp) {
      snapshot = null;
      complete.value = true;
    }
    if (!snapshot) {
      jobs.value = next;
    }
  };
  const feed = new EventFeed<WatchJobsResponse>({
    ...environment,
    path: `/events/jobs${query(filter)}`,
    take,
  });
  return {
    jobs,
    complete,
    state: feed.state,
    error: feed.error,
    wake: () => feed.wake(),
    close: () => feed.close(),
  };
}

/** Events after which a job has no more. */
const LAST: ReadonlySet<JobEventType | undefined> = new Set([
  "JOB_EVENT_TYPE_JOB_COMPLETED",
  "JOB_EVENT_TYPE_JOB_FAILED",
  "JOB_EVENT_TYPE_JOB_CANCELLED",
]);

/** Follows one job, from its first event to the one that ends it. */
export function watchJob(environment: Environment, jobId: string): JobHistory {
  const events = signal<readonly JobEvent[]>([]);
  let last = 0n;
  const take = (message: WatchJobResponse) => {
    const fresh = (message.events ?? []).filter(({ seq }) => BigInt(seq ?? "0") > last);
    last = BigInt(fresh.at(-1)?.seq ?? last);
    events.value = [...events.value, ...fresh];
    if (fresh.some(({ type }) => LAST.has(type))) {
      feed.close();
    }
  };
  const path = `/events/jobs/${encodeURIComponent(jobId)}`;
  const feed: EventFeed<WatchJobResponse> = new EventFeed({ ...environment, path, take });
  return { events, state: feed.state, error: feed.error, wake: () => feed.wake(), close: () => feed.close() };
}
