// Plots as SVG. A table beside them says the same; each column says its numbers on hover.

import { t } from "../../words/later";
import { milliseconds } from "../prompt_facts";
import { clock, span } from "../times";
import { highest, type Series, type Step, timeScale } from "./figures";
import { answerTime, figure } from "./parts";

const HEIGHT = 44;
const TALL = 170;
/** The part of a step's width that its column takes. */
const FILL = 0.72;

const percent = (share: number) => `${(share * 100).toFixed(3)}%`;

interface StepsProps {
  readonly steps: readonly Step[];
  readonly now: number;
}

/** Rows of columns on one time axis and one scale: one row for each thing that is counted. */
export function Columns({ series, steps, now }: StepsProps & { readonly series: readonly Series[] }) {
  const most = Math.max(1, highest(series));
  return (
    <div class="lanes">
      {series.map((row) => (
        <div key={row.measure} class="lane" data-measure={row.measure}>
          <span class="lane-name">{t(row.name)}</span>
          <strong class="number">{figure(row.total)}</strong>
          <Lane row={row} steps={steps} most={most} now={now} />
        </div>
      ))}
      <Axis steps={steps} now={now} />
    </div>
  );
}

function Lane({ row, steps, most, now }: StepsProps & { readonly row: Series; readonly most: number }) {
  const width = 1 / steps.length;
  const label = t("overview.plot", {
    name: t(row.name),
    n: row.total,
    most: row.values.reduce((a, b) => Math.max(a, b), 0),
  });
  return (
    <svg class="plot" height={HEIGHT} role="img" aria-label={label}>
      <line x1="0" x2="100%" y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
      {steps.map((step, at) => {
        const n = row.values[at] ?? 0;
        const height = n === 0 ? 0 : Math.max(2, (n / most) * (HEIGHT - 2));
        return (
          <g key={step.from}>
            <title>{t("overview.point", { ...ends(step, now), n })}</title>
            <rect class="hover" x={percent(at * width)} width={percent(width)} height={HEIGHT} />
            <rect
              class={step.goesOn ? "goes-on" : undefined}
              x={percent((at + (1 - FILL) / 2) * width)}
              width={percent(FILL * width)}
              y={HEIGHT - 1 - height}
              height={height}
            />
          </g>
        );
      })}
    </svg>
  );
}

function ends(step: Step, now: number): { readonly from: string; readonly to: string } {
  return { from: clock(step.from, now), to: clock(step.to, now) };
}

/** The times under the columns: of the begin, the middle and the end. */
function Axis({ steps, now }: StepsProps) {
  const first = steps[0];
  const last = steps.at(-1);
  if (first === undefined || last === undefined) return null;
  const middle = steps.length > 2 ? steps[Math.floor(steps.length / 2)] : undefined;
  return (
    <p class="axis" aria-hidden="true">
      <span>{clock(first.from, now)}</span>
      {middle === undefined ? null : <span>{clock(middle.from, now)}</span>}
      <span>{clock(last.to, now)}</span>
    </p>
  );
}

/** Bars from the time of half of the answers to that of 90 %, on a scale that grows by factors. */
export function AnswerPlot({ steps, now, label }: StepsProps & { readonly label: string }) {
  const bars = steps.map((step) => ({
    step,
    p50: milliseconds(step.times.p50),
    p90: milliseconds(step.times.p90),
  }));
  const scale = timeScale(bars.flatMap(({ p50, p90 }) => (p50 === undefined ? [] : [p50, p90 ?? p50])));
  const width = 1 / steps.length;
  const y = (ms: number) => 8 + (1 - scale.place(ms)) * (TALL - 16);
  return (
    <div class="times-plot">
      <svg class="time-marks" height={TALL} aria-hidden="true">
        {scale.marks.map((mark) => (
          <text key={mark} y={y(mark)} dominant-baseline="middle">
            {span(mark)}
          </text>
        ))}
      </svg>
      <svg class="plot" height={TALL} role="img" aria-label={label}>
        {scale.marks.map((mark) => (
          <line key={mark} x1="0" x2="100%" y1={y(mark)} y2={y(mark)} />
        ))}
        {bars.map(({ step, p50, p90 }, at) => {
          if (p50 === undefined) return null;
          const top = y(p90 ?? p50);
          const words = {
            ...ends(step, now),
            p50: answerTime(p50),
            p90: answerTime(p90),
            n: Number(step.times.count ?? "0"),
          };
          return (
            <g key={step.from}>
              <title>{t("overview.times.point", words)}</title>
              <rect class="hover" x={percent(at * width)} width={percent(width)} height={TALL} />
              <rect
                class={step.goesOn ? "goes-on" : undefined}
                x={percent((at + (1 - FILL) / 2) * width)}
                width={percent(FILL * width)}
                y={top}
                height={Math.max(3, y(p50) - top)}
              />
            </g>
          );
        })}
      </svg>
      <Axis steps={steps} now={now} />
    </div>
  );
}
