// The course of a job as spans of time, read from its events: attempts, leases, waits for people, questions.

import type { JobEvent, Prompt } from "../../wire/messages";
import { dataOf } from "../event_words";
import { nameOf } from "../job_facts";
import { idOf, instant } from "../prompt_facts";

export type SpanKind = "attempt" | "lease" | "wait" | "prompt";

export interface CourseSpan {
  readonly kind: SpanKind;
  /** Of an attempt its number, of a lease its worker, of a prompt its title; a wait has none. */
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** It goes on: `to` is now. */
  readonly isOpen: boolean;
}

interface Begun {
  readonly name: string;
  readonly from: number;
}

const RELEASING = new Set(["JOB_RELEASED", "JOB_LEASE_LOST", "JOB_RETRIED"]);
const ENDING = new Set(["JOB_COMPLETED", "JOB_FAILED", "JOB_CANCELLED"]);

/** The spans in the order of their begin. `now` ends those that go on. */
export function courseOf(
  events: readonly JobEvent[],
  prompts: readonly Prompt[],
  now: number,
): readonly CourseSpan[] {
  const spans: CourseSpan[] = [];
  const begun = new Map<SpanKind, Begun>();
  const end = (kind: SpanKind, to: number, isOpen = false) => {
    const found = begun.get(kind);
    begun.delete(kind);
    if (found !== undefined) spans.push({ kind, ...found, to, isOpen });
  };
  for (const event of events) {
    const at = instant(event.time);
    if (at === undefined) continue;
    const name = nameOf(event);
    const data = dataOf(event);
    if (name === "JOB_LEASED") {
      const attempt = String(data.attempt ?? "");
      if (begun.get("attempt")?.name !== attempt) {
        end("attempt", at);
        begun.set("attempt", { name: attempt, from: at });
      }
      end("lease", at);
      begun.set("lease", { name: String(data.worker_id ?? ""), from: at });
    }
    if (RELEASING.has(name)) end("lease", at);
    if (ENDING.has(name)) end("lease", at);
    // After a failure or a lost lease the event names the attempt that follows.
    const isNext = RELEASING.has(name) && data.attempt !== undefined;
    const isOver = isNext && String(data.attempt) !== begun.get("attempt")?.name;
    if (isOver || ENDING.has(name)) end("attempt", at);
    const waits = event.state === "JOB_STATE_PENDING_HITL";
    if (waits && !begun.has("wait")) begun.set("wait", { name: "", from: at });
    if (!waits) end("wait", at);
  }
  for (const kind of [...begun.keys()]) end(kind, now, true);
  for (const prompt of prompts) {
    const from = instant(prompt.createTime);
    const to = instant(prompt.resolution?.time);
    if (from === undefined) continue;
    const isOpen = prompt.state === "PROMPT_STATE_PENDING";
    const title = prompt.content?.title || idOf(prompt);
    spans.push({ kind: "prompt", name: title, from, to: to ?? (isOpen ? now : from), isOpen });
  }
  return spans.sort((one, other) => one.from - other.from);
}

/** The part of the time axis that is on the screen. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** All of the course; at least a second. */
export function wholeRange(spans: readonly CourseSpan[], created: number): Range {
  const from = Math.min(created, ...spans.map((span) => span.from));
  return { from, to: Math.max(from + 1000, ...spans.map((span) => span.to)) };
}

/** A range that is `factor` times as long, moved by `step` of its length, kept inside of the whole. */
export function zoom(range: Range, whole: Range, factor: number, step = 0): Range {
  const most = whole.to - whole.from;
  const length = Math.min(most, Math.max(Math.min(most, 100), (range.to - range.from) * factor));
  const middle = (range.from + range.to) / 2 + step * length;
  const from = Math.max(whole.from, Math.min(whole.to - length, middle - length / 2));
  return { from, to: from + length };
}
