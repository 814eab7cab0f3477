// Facts about a job that several parts of the page need, and its state in words for people.

import type { Job, JobEvent } from "../wire/messages";
import { isKey, t } from "../words/later";
import { instant } from "./prompt_facts";
import { span } from "./times";

const ENDED: readonly (string | undefined)[] = [
  "JOB_STATE_COMPLETED",
  "JOB_STATE_FAILED",
  "JOB_STATE_CANCELLED",
];

/** Whether the job changes its state no more. A state that this page does not know is not an end. */
export function hasEnded(job: Job): boolean {
  return ENDED.includes(job.state);
}

/** A job's state, for people. */
export function jobStateWords(state: string | undefined): string {
  const key: string = `job.${(state ?? "").replace("JOB_STATE_", "").toLowerCase()}`;
  return isKey(key) ? t(key) : t("job.unknown");
}

/** What the job does or waits for. */
export function jobStateText(job: Job, now: number): string {
  if (hasEnded(job)) return jobStateWords(job.state);
  if (job.cancelRequestTime !== undefined) return t("job.stopping");
  const ready = instant(job.readyTime) ?? 0;
  if (job.state === "JOB_STATE_PENDING" && ready > now) {
    const left = span(ready - now);
    const n = job.attempt ?? 1;
    return n > 1 ? t("job.pauses", { span: left, attempt: n }) : t("job.starts", { span: left });
  }
  const questions = job.openBlockingPrompts ?? 0;
  if (job.state === "JOB_STATE_PENDING_HITL" && questions > 0) {
    return t("job.waits_for", { n: questions });
  }
  return jobStateWords(job.state);
}

/** The end of a job's id: ids that were made at about the same time begin alike. */
export function shortId(jobId: string): string {
  return jobId.slice(-8);
}

/** The name of an event's type: `PROMPT_ASKED`. */
export function nameOf(event: JobEvent): string {
  return (event.type ?? "").replace("JOB_EVENT_TYPE_", "");
}
