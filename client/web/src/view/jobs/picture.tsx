// The course of a job as a picture on a time axis that can be looked at closer, and as a table that says the same.

import { useSignal } from "@preact/signals";
import type { Job, JobEvent, Prompt } from "../../wire/messages";
import type { LaterKey } from "../../words";
import { rich, t } from "../../words/later";
import { hasEnded } from "../job_facts";
import { usePage } from "../page";
import { instant } from "../prompt_facts";
import { clock, second, span } from "../times";
import { Name, Time } from "../ui";
import { type CourseSpan, courseOf, type Range, type SpanKind, wholeRange, zoom } from "./course";

const LANE = 38;
const AXIS = 24;
/** How many questions have a lane of their own; the table has all of them. */
const MOST_PROMPTS = 30;

/** A span in words; below ten seconds with hundredths, as steps of programs are short. */
function fine(ms: number): string {
  return ms < 10_000 ? t("span.s", { n: Math.round(ms / 10) / 100 }) : span(ms);
}

interface PictureProps {
  readonly job: Job;
  readonly events: readonly JobEvent[];
  readonly prompts: readonly Prompt[];
}

interface Lane {
  readonly title: string;
  readonly spans: readonly CourseSpan[];
}

function lanesOf(spans: readonly CourseSpan[]): readonly Lane[] {
  const of = (kind: SpanKind) => spans.filter((one) => one.kind === kind);
  const shared: readonly Lane[] = [
    { title: t("job.picture.attempts"), spans: of("attempt") },
    { title: t("job.picture.leases"), spans: of("lease") },
    { title: t("job.picture.waits"), spans: of("wait") },
  ];
  const asked = of("prompt").slice(0, MOST_PROMPTS);
  const lanes = asked.map((one) => ({ title: t("course.prompt", { name: one.name }), spans: [one] }));
  return [...shared.filter((lane) => lane.spans.length > 0), ...lanes];
}

export function Picture({ job, events, prompts }: PictureProps) {
  const { inbox } = usePage();
  /** Null: all of it, which grows while the job runs. */
  const chosen = useSignal<Range | null>(null);
  if (!hasEnded(job)) second.value;
  const now = inbox.now();
  const spans = courseOf(events, prompts, now);
  if (spans.length === 0) return null;
  const whole = wholeRange(spans, instant(job.createTime) ?? now);
  const range = chosen.value ?? whole;
  const look =
    (factor: number, step = 0) =>
    () => {
      const next = zoom(range, whole, factor, step);
      chosen.value = next.from === whole.from && next.to === whole.to ? null : next;
    };
  const tools: readonly (readonly [LaterKey, () => void])[] = [
    ["job.picture.in", look(0.5)],
    ["job.picture.out", look(2)],
    ["job.picture.earlier", look(1, -0.5)],
    ["job.picture.later", look(1, 0.5)],
    [
      "job.picture.all",
      () => {
        chosen.value = null;
      },
    ],
  ];
  const asked = spans.filter((one) => one.kind === "prompt").length;
  return (
    <section class="section" aria-labelledby="job-picture">
      <h2 id="job-picture">{t("job.picture")}</h2>
      <Drawing spans={spans} range={range} start={whole.from} now={now} />
      {asked > MOST_PROMPTS ? <p class="hint">{t("job.picture.cut", { n: MOST_PROMPTS })}</p> : null}
      <div class="course-tools">
        {tools.map(([name, act]) => (
          <button key={name} type="button" class="button is-small" onClick={act}>
            {t(name)}
          </button>
        ))}
      </div>
      <details>
        <summary>{t("job.picture.table")}</summary>
        <Table spans={spans} start={whole.from} now={now} />
      </details>
    </section>
  );
}

interface DrawingProps {
  readonly spans: readonly CourseSpan[];
  readonly range: Range;
  readonly start: number;
  readonly now: number;
}

const ANCHORS = ["start", "middle", "end"] as const;

function Drawing({ spans, range, start, now }: DrawingProps) {
  const lanes = lanesOf(spans);
  const height = lanes.length * LANE + AXIS;
  const length = range.to - range.from;
  const share = (at: number) => Math.max(0, Math.min(1, (at - range.from) / length)) * 100;
  return (
    <svg
      class="course"
      height={height}
      role="img"
      aria-label={t("job.picture.label", { from: clock(range.from, now), to: clock(range.to, now) })}
      data-from={range.from}
      data-to={range.to}
    >
      {ANCHORS.map((anchor, index) => (
        <g key={anchor}>
          <line x1={`${index * 50}%`} x2={`${index * 50}%`} y1={0} y2={height - AXIS} />
          <text class="course-time" x={`${index * 49 + 1}%`} y={height - 8} text-anchor={anchor}>
            +{fine(range.from + (length * index) / 2 - start)}
          </text>
        </g>
      ))}
      {lanes.map((lane, row) => (
        <g key={row}>
          <text x="8" y={row * LANE + 15}>
            {lane.title}
          </text>
          {lane.spans
            .filter((one) => one.to >= range.from && one.from <= range.to)
            .map((one) => (
              <rect
                key={one.from}
                class={`is-${one.kind}`}
                x={`${share(one.from)}%`}
                style={{ width: `max(3px, ${(share(one.to) - share(one.from)).toFixed(3)}%)` }}
                y={row * LANE + 21}
                height={12}
              >
                <title>{`${t(`course.${one.kind}`, { name: one.name })}: ${fine(one.to - one.from)}`}</title>
              </rect>
            ))}
        </g>
      ))}
    </svg>
  );
}

interface TableProps {
  readonly spans: readonly CourseSpan[];
  readonly start: number;
  readonly now: number;
}

function Table({ spans, start, now }: TableProps) {
  return (
    <table class="course-table">
      <thead>
        <tr>
          <th scope="col">{t("job.picture.what")}</th>
          <th scope="col">{t("job.picture.from")}</th>
          <th scope="col">{t("job.picture.to")}</th>
          <th scope="col">{t("job.picture.long")}</th>
        </tr>
      </thead>
      <tbody>
        {spans.map((one) => (
          <tr key={`${one.kind} ${one.name} ${one.from}`}>
            <td>{rich(`course.${one.kind}`, { name: <Name text={one.name} /> })}</td>
            <td>
              <Time at={one.from} now={now} /> <small>+{fine(one.from - start)}</small>
            </td>
            <td>{one.isOpen ? t("job.picture.open") : <Time at={one.to} now={now} />}</td>
            <td>{fine(one.to - one.from)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
