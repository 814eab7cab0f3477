// Parts that several sections of the overview use: numbers, tables with bars, and tables that scroll by themselves.

import type { ComponentChildren } from "preact";
import { locale } from "../../words";
import { t } from "../../words/later";
import { span } from "../times";

/** A number as people write it. */
export function figure(n: number): string {
  return n.toLocaleString(locale());
}

/** How long an answer took; below ten seconds with a tenth. */
export function answerTime(ms: number | undefined): string {
  if (ms === undefined) return "–";
  return ms < 10_000 ? t("span.s", { n: Math.round(ms / 100) / 10 }) : span(ms);
}

interface FigureProps {
  readonly value: string;
  readonly children: ComponentChildren;
  readonly title?: string | undefined;
  readonly isAlert?: boolean;
}

/** A number with what it counts. */
export function Figure({ value, children, title, isAlert = false }: FigureProps) {
  return (
    <li class={isAlert ? "figure is-alert" : "figure"} title={title}>
      <strong>{value}</strong> {children}
    </li>
  );
}

interface BarRow {
  readonly key: string;
  readonly name: ComponentChildren;
  readonly n: number;
  readonly unattended: number;
}

interface BarTableProps {
  readonly title: string;
  readonly first: string;
  readonly rows: readonly BarRow[];
}

/** A table whose numbers are drawn as bars too. */
export function BarTable({ title, first, rows }: BarTableProps) {
  const most = Math.max(1, ...rows.map((row) => row.n));
  return (
    <table class="course-table bars">
      <caption>{title}</caption>
      <colgroup>
        <col />
        <col />
        <col />
      </colgroup>
      <thead class="visually-hidden">
        <tr>
          <th scope="col">{first}</th>
          <td />
          <th scope="col">{t("overview.column.n")}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.key}>
            <th scope="row">
              {row.name}{" "}
              {row.unattended > 0 ? (
                <small>{t("overview.column.unattended", { n: row.unattended })}</small>
              ) : null}
            </th>
            <td class="bar">
              <svg class="plot" height="16" aria-hidden="true">
                <rect class="track" width="100%" height="16" rx="3" />
                {row.n > 0 ? (
                  <rect width={`${Math.max(1, (row.n / most) * 100)}%`} height="16" rx="3" />
                ) : null}
              </svg>
            </td>
            <td class="number">{figure(row.n)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface NumberTableProps {
  readonly title: string;
  readonly head: readonly string[];
  /** How many columns at the begin name the row. */
  readonly names?: number;
  readonly rows: readonly { readonly key: string; readonly cells: readonly ComponentChildren[] }[];
}

/** A table of numbers. It scrolls sideways by itself where it is too wide. */
export function NumberTable({ title, head, names = 1, rows }: NumberTableProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="wide-table" aria-label={title} tabIndex={0}>
      <table class="course-table">
        <thead>
          <tr>
            {head.map((text, at) => (
              <th key={text} scope="col" class={at < names ? undefined : "number"}>
                {text}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ key, cells }) => (
            <tr key={key}>
              {cells.map((cell, at) =>
                at === 0 ? (
                  <th key={head[at]} scope="row">
                    {cell}
                  </th>
                ) : (
                  <td key={head[at]} class={at < names ? undefined : "number"}>
                    {cell}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
