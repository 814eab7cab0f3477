// What happened in a window of time: to questions, to jobs, and how long people took to answer.

import type { Activity as Figures, ActivityCounts, ActivityOfType, AnswerTimes } from "../../wire/messages";
import type { LaterKey } from "../../words";
import { rich, t } from "../../words/later";
import { kindWords, typeWords } from "../labels";
import { PlaceLink } from "../place_link";
import { instant, milliseconds } from "../prompt_facts";
import { HOUR, span } from "../times";
import { Name, Time } from "../ui";
import {
  countOf,
  highest,
  ENOUGH,
  isQuiet,
  lastTwo,
  JOB_ROWS,
  QUESTION_ROWS,
  saysEnough,
  seriesOf,
  type Step,
  stepsOf,
  typesOf,
} from "./figures";
import { answerTime, Figure, figure, NumberTable } from "./parts";
import { AnswerPlot, Columns } from "./plots";
import { type WindowName, WINDOWS } from "./window";

interface ActivityProps {
  readonly activity: Figures;
  readonly now: number;
  readonly window: WindowName;
}

export function Activity({ activity, now, window }: ActivityProps) {
  const start = instant(activity.startTime) ?? now;
  const counted = instant(activity.countedTime);
  return (
    <section class="section" aria-labelledby="overview-activity">
      <h2 id="overview-activity">{t("overview.activity")}</h2>
      <nav class="views" aria-label={t("overview.window")}>
        {WINDOWS.map((name) => (
          <PlaceLink key={name} place={{ view: "overview", window: name }} isHere={name === window}>
            {t(`overview.window.${name}`)}
          </PlaceLink>
        ))}
      </nav>
      <p class="hint">
        {rich("overview.window.whole", {
          time: <Time at={start} now={now} />,
          step: span(milliseconds(activity.step) ?? 0),
        })}{" "}
        {counted === undefined
          ? t("overview.counted.none")
          : rich("overview.counted", { time: <Time at={counted} now={now} /> })}
      </p>
      {isQuiet(activity) ? (
        <p class="empty empty-title">{t("overview.nothing")}</p>
      ) : (
        <Plots activity={activity} steps={stepsOf(activity, now)} now={now} />
      )}
    </section>
  );
}

interface PlotsProps {
  readonly activity: Figures;
  readonly steps: readonly Step[];
  readonly now: number;
}

type Rows = typeof QUESTION_ROWS;

function Plots({ activity, steps, now }: PlotsProps) {
  const { questions, jobs } = typesOf(activity);
  return (
    <>
      <Counted title="overview.questions" rows={QUESTION_ROWS} {...{ activity, steps, now }} />
      <Times {...{ activity, steps, now }} />
      {questions.length === 0 ? null : (
        <details>
          <summary>{t("overview.by_type")}</summary>
          <NumberTable
            title={t("overview.by_type")}
            names={2}
            head={[
              t("overview.type"),
              t("overview.column.kind"),
              ...heads(QUESTION_ROWS),
              ...TIMES.map(timeHead),
            ]}
            rows={questions.map((one) => ({
              key: `${one.jobType} ${one.kind}`,
              cells: [
                typeName(one),
                <Name text={kindWords(one.kind)} />,
                ...numbers(one.counts, QUESTION_ROWS),
                ...times(one.answerTimes),
              ],
            }))}
          />
        </details>
      )}
      <Counted title="overview.jobs" rows={JOB_ROWS} {...{ activity, steps, now }} />
      {jobs.length === 0 ? null : (
        <details>
          <summary>{t("overview.by_type.jobs")}</summary>
          <NumberTable
            title={t("overview.by_type.jobs")}
            head={[t("overview.type"), ...heads(JOB_ROWS)]}
            rows={jobs.map((one) => ({
              key: one.jobType ?? "",
              cells: [typeName(one), ...numbers(one.counts, JOB_ROWS)],
            }))}
          />
        </details>
      )}
    </>
  );
}

/** The percentiles: their field, and their words behind a number. */
const TIMES = [
  ["p50", "overview.times.p50"],
  ["p90", "overview.times.p90"],
  ["p99", "overview.times.p99"],
] as const satisfies readonly (readonly [keyof AnswerTimes, LaterKey])[];

const timeHead = ([, name]: (typeof TIMES)[number]) => t(name);
const heads = (rows: Rows) => rows.map(([, name]) => t(name));
const numbers = (counts: ActivityCounts | undefined, rows: Rows) =>
  rows.map(([measure]) => figure(countOf(counts, measure)));
const times = (found: AnswerTimes | undefined) =>
  TIMES.map(([field]) => (saysEnough(found, field) ? answerTime(milliseconds(found?.[field])) : "–"));

function typeName({ jobType = "" }: ActivityOfType) {
  return jobType === "" ? t("overview.type.deleted") : <Name text={typeWords(jobType)} />;
}

interface CountedProps extends PlotsProps {
  readonly title: "overview.questions" | "overview.jobs";
  readonly rows: Rows;
}

/** Rows of columns, and the table of their numbers. */
function Counted({ title, rows, activity, steps, now }: CountedProps) {
  const series = seriesOf(activity, steps, rows);
  return (
    <>
      <h3>{t(title)}</h3>
      <Columns series={series} steps={steps} now={now} />
      <p class="hint">{t("overview.scale", { n: highest(series) })}</p>
      <details>
        <summary>{t("overview.table")}</summary>
        <NumberTable
          title={t(title)}
          head={[t("overview.from"), ...series.map((row) => t(row.name))]}
          rows={steps.map((step, at) => ({
            key: `${step.from}`,
            cells: [<Time at={step.from} now={now} />, ...series.map((row) => figure(row.values[at] ?? 0))],
          }))}
        />
      </details>
    </>
  );
}

/** Whether answers take longer now than before, in words. */
function Trend({ steps, now }: { readonly steps: readonly Step[]; readonly now: number }) {
  const two = lastTwo(steps);
  if (two === null) return null;
  const width = two.before.to - two.before.from;
  const half = ({ times: found }: Step) =>
    found.p50 === undefined
      ? t("overview.trend.none")
      : t("overview.trend.half", {
          time: answerTime(milliseconds(found.p50)),
          n: Number(found.count ?? "0"),
        });
  const parts = { now: half(two.now), before: half(two.before) };
  return (
    <p class="overview-trend">
      {width === HOUR
        ? t("overview.trend.hour", parts)
        : rich("overview.trend.since", {
            ...parts,
            time: <Time at={two.now.from} now={now} />,
            span: span(width),
          })}
    </p>
  );
}

function Times({ activity, steps, now }: PlotsProps) {
  const all = activity.answerTimes ?? {};
  const [p50 = "", p90 = ""] = times(all);
  return (
    <>
      <h3>{t("overview.times")}</h3>
      <Trend steps={steps} now={now} />
      {all.p50 === undefined ? (
        <p>{t("overview.times.none")}</p>
      ) : (
        <>
          <ul class="figures">
            {TIMES.filter(([field]) => saysEnough(all, field)).map(([field, name]) => (
              <Figure key={field} value={answerTime(milliseconds(all[field]))}>
                {t(name)}
              </Figure>
            ))}
          </ul>
          <AnswerPlot steps={steps} now={now} label={t("overview.times.plot", { p50, p90 })} />
          <p class="hint">
            {t("overview.times.how")} {saysEnough(all, "p99") ? "" : t("overview.times.few", { n: ENOUGH })}
          </p>
          <details>
            <summary>{t("overview.table")}</summary>
            <NumberTable
              title={t("overview.times")}
              head={[t("overview.from"), t("overview.answered"), ...TIMES.map(timeHead)]}
              rows={steps
                .filter((step) => step.times.p50 !== undefined)
                .map((step) => ({
                  key: `${step.from}`,
                  cells: [
                    <Time at={step.from} now={now} />,
                    figure(Number(step.times.count ?? "0")),
                    ...times(step.times),
                  ],
                }))}
            />
          </details>
        </>
      )}
    </>
  );
}
