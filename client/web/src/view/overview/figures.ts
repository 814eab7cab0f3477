// The figures of the service in the shape in which the overview draws them.

import type {
  Activity,
  ActivityCounts,
  ActivityOfType,
  AnswerTimes,
  WaitingOfKind,
  WaitingPrompts,
} from "../../wire/messages";
import type { LaterKey } from "../../words";
import { instant, milliseconds } from "../prompt_facts";

type Measure = keyof ActivityCounts;

/** Number of answers from which on a percentile other than the middle one says something. */
export const ENOUGH = 20;

/** Whether there are enough answers for a percentile: of few, the estimate is longer than any of them took. */
export function saysEnough(times: AnswerTimes | undefined, field: "p50" | "p90" | "p99"): boolean {
  return field === "p50" || Number(times?.count ?? "0") >= ENOUGH;
}

/** What happened to questions and to jobs, in the order of their rows. */
export const QUESTION_ROWS: readonly (readonly [Measure, LaterKey])[] = [
  ["promptsAsked", "overview.asked"],
  ["promptsAnswered", "overview.answered"],
  ["promptsDefaulted", "overview.defaulted"],
  ["promptsCarried", "overview.carried"],
  ["promptsExpired", "overview.expired"],
  ["promptsWithdrawn", "overview.withdrawn"],
];
export const JOB_ROWS: readonly (readonly [Measure, LaterKey])[] = [
  ["jobsCreated", "overview.created"],
  ["jobsCompleted", "overview.completed"],
  ["jobsFailed", "overview.failed"],
  ["jobsCancelled", "overview.cancelled"],
];
/** Rows that are shown with nothing in them too: what people look for first. */
const ALWAYS: readonly Measure[] = ["promptsAsked", "promptsAnswered", "promptsExpired", "jobsCreated"];

/** A count, which the contract writes as text. */
export function countOf(counts: ActivityCounts | undefined, measure: Measure): number {
  return Number(counts?.[measure] ?? "0");
}

/** A step of the window. */
export interface Step {
  readonly from: number;
  /** The end; of the last step, which goes on, the time of the reading. */
  readonly to: number;
  readonly goesOn: boolean;
  readonly counts: ActivityCounts;
  readonly times: AnswerTimes;
}

/** The steps of the window, oldest first. */
export function stepsOf(activity: Activity, now: number): readonly Step[] {
  const width = milliseconds(activity.step) ?? 0;
  return (activity.points ?? []).map((point) => {
    const from = instant(point.time) ?? 0;
    return {
      from,
      to: Math.min(from + width, Math.max(now, from)),
      goesOn: from + width > now,
      counts: point.counts ?? {},
      times: point.answerTimes ?? {},
    };
  });
}

/** The step that goes on, and the one before it: whether it takes longer now. Null where the window has no two. */
export function lastTwo(steps: readonly Step[]): { readonly now: Step; readonly before: Step } | null {
  const [before, now] = steps.slice(-2);
  return before === undefined || now === undefined || !now.goesOn ? null : { now, before };
}

export interface Series {
  readonly measure: Measure;
  readonly name: LaterKey;
  readonly total: number;
  /** One value for each step. */
  readonly values: readonly number[];
}

/** The rows of a plot. Those without any count are left out, but for what people look for first. */
export function seriesOf(
  activity: Activity,
  steps: readonly Step[],
  rows: readonly (readonly [Measure, LaterKey])[],
): readonly Series[] {
  return rows
    .map(([measure, name]) => ({
      measure,
      name,
      total: countOf(activity.total, measure),
      values: steps.map((step) => countOf(step.counts, measure)),
    }))
    .filter((row) => row.total > 0 || ALWAYS.includes(row.measure));
}

/** The highest value of several rows. */
export function highest(series: readonly Series[]): number {
  return series.reduce((most, row) => row.values.reduce((a, b) => Math.max(a, b), most), 0);
}

/** Whether nothing at all happened. */
export function isQuiet(activity: Activity): boolean {
  return [...QUESTION_ROWS, ...JOB_ROWS].every(([measure]) => countOf(activity.total, measure) === 0);
}

/** Entries of questions and of jobs, which the contract has in one list. */
export function typesOf(activity: Activity): {
  readonly questions: readonly ActivityOfType[];
  readonly jobs: readonly ActivityOfType[];
} {
  const all = activity.byType ?? [];
  const isJob = (one: ActivityOfType) => (one.kind ?? "") === "";
  return { questions: all.filter((one) => !isJob(one)), jobs: all.filter(isJob) };
}

/** An age class of waiting questions: from one bound to the next, in milliseconds. */
export interface AgeClass {
  readonly from: number;
  /** Undefined: of any age above. */
  readonly to: number | undefined;
}

/** The age classes between the bounds, the youngest first. */
export function ageClasses(waiting: WaitingPrompts): readonly AgeClass[] {
  const bounds = (waiting.ageBounds ?? []).map((bound) => milliseconds(bound) ?? 0);
  return [0, ...bounds].map((from, at) => ({ from, to: bounds[at] }));
}

/** The number of each age class; of a reply that leaves out zeros at the end too. */
export function agesOf(entry: WaitingPrompts | WaitingOfKind, classes: number): readonly number[] {
  return Array.from({ length: classes }, (_, at) => entry.byAge?.[at] ?? 0);
}

/** Marks of a scale of times that grows by factors, in milliseconds. */
const MARKS = [1, 10, 60, 600, 3600, 21_600, 86_400, 604_800, 2_592_000].map((s) => s * 1000);

interface TimeScale {
  readonly marks: readonly number[];
  /** Where a time stands, from 0 at the bottom to 1 at the top. */
  place(ms: number): number;
}

/** A scale that grows by factors and has all these times. It reaches from a mark to a mark. */
export function timeScale(times: readonly number[]): TimeScale {
  const least = Math.min(...times);
  const most = Math.max(...times);
  const low = MARKS.findLastIndex((mark) => mark <= least);
  const high = MARKS.findIndex((mark) => mark >= most);
  const first = Math.min(Math.max(0, low), MARKS.length - 2);
  const last = Math.max(first + 1, high < 0 ? MARKS.length - 1 : high);
  const marks = MARKS.slice(first, last + 1);
  const from = Math.log(marks[0] ?? 1);
  const to = Math.log(marks.at(-1) ?? 2);
  return {
    marks,
    place: (ms) => Math.max(0, Math.min(1, (Math.log(Math.max(1, ms)) - from) / (to - from))),
  };
}
