// Filters of the list of jobs, as they stand in the address, and which jobs pass them.

import type { Job, JobState } from "../../wire/messages";
import { isLabelCondition, meetsAll, valuesOf } from "../conditions";

const OPEN_STATES = ["pending", "running", "pending_hitl"] as const;
const ENDED_STATES = ["completed", "failed", "cancelled"] as const;
export const STATES = [...OPEN_STATES, ...ENDED_STATES] as const;
type StateName = (typeof STATES)[number];

export interface JobQuery {
  /** Empty: any. */
  readonly states: readonly StateName[];
  readonly types: readonly string[];
  readonly creators: readonly string[];
  /** Conditions such as `team=refunds`, one value for each name; all of them must hold. */
  readonly labels: readonly string[];
}

export const ALL_JOBS: JobQuery = { states: [], types: [], creators: [], labels: [] };

/** The filters of an address. Values that are not known are left out. */
export function readJobQuery(params: URLSearchParams): JobQuery {
  const named = valuesOf(params, "state");
  return {
    states: STATES.filter((state) => named.includes(state)),
    types: valuesOf(params, "type"),
    creators: valuesOf(params, "creator"),
    labels: valuesOf(params, "label").filter(isLabelCondition),
  };
}

/** The address's part of the filters. */
export function writeJobQuery(query: JobQuery): URLSearchParams {
  const params = new URLSearchParams();
  for (const state of query.states) params.append("state", state);
  for (const type of query.types) params.append("type", type);
  for (const creator of query.creators) params.append("creator", creator);
  for (const label of query.labels) params.append("label", label);
  return params;
}

/** The state as the contract names it. */
export function stateOf(name: StateName): JobState {
  return `JOB_STATE_${name.toUpperCase()}` as JobState;
}

/** The ended states that the filter wants to see. */
export function endedStates(query: JobQuery): readonly StateName[] {
  return query.states.length === 0
    ? ENDED_STATES
    : ENDED_STATES.filter((state) => query.states.includes(state));
}

/** Whether a job passes the filters. */
export function passes(job: Job, query: JobQuery): boolean {
  const one = (values: readonly string[], value: string | undefined) =>
    values.length === 0 || values.includes(value ?? "");
  return (
    one(query.states.map(stateOf), job.state) &&
    one(query.types, job.jobType) &&
    one(query.creators, job.userId) &&
    meetsAll(job.labels, query.labels)
  );
}

/** The jobs of several sources that pass, each in its newest version, the newest job first. */
export function arrange(sources: readonly Iterable<Job>[], query: JobQuery): readonly Job[] {
  const newest = new Map<string, Job>();
  for (const source of sources) {
    for (const job of source) {
      const known = newest.get(job.jobId ?? "");
      if (known === undefined || BigInt(job.version ?? "0") >= BigInt(known.version ?? "0")) {
        newest.set(job.jobId ?? "", job);
      }
    }
  }
  // Ids are UUIDv7: their order is that of creation.
  return [...newest.values()]
    .filter((job) => passes(job, query))
    .sort((one, other) => ((one.jobId ?? "") < (other.jobId ?? "") ? 1 : -1));
}
