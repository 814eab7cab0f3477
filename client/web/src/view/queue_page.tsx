// A page of the list: up to 200 rows that are laid out together, and not at all while they are off the screen.

import { signal } from "@preact/signals";
import { Component, createRef } from "preact";
import type { Row } from "../model/inbox";
import { t } from "../words";
import { idOf } from "./prompt_facts";
import type { Similar } from "./queue_model";
import { QueueRow } from "./queue_row";
import { clocksWhile } from "./times";
import { Name } from "./ui";

interface QueuePageProps {
  readonly label: string;
  readonly rows: readonly Row[];
  readonly selected: string;
  readonly active: string;
  /** Undefined: rows cannot be chosen here. */
  readonly chosen: ReadonlySet<string> | undefined;
  readonly subject: string;
  readonly groups: readonly string[];
  readonly now: () => number;
  readonly isLive: boolean;
  readonly speech: string;
  readonly isUnderDay: boolean;
  readonly similar: ReadonlyMap<string, Similar>;
  /** The rows have a heading above them. */
  readonly isGrouped: boolean;
}

function isSame(one: Similar | undefined, other: Similar | undefined): boolean {
  return (
    one?.first === other?.first &&
    one?.open.length === other?.open.length &&
    one?.isActive === other?.isActive
  );
}

function isIn(rows: readonly Row[], id: string): boolean {
  return rows.some((row) => idOf(row.prompt) === id);
}

/** A page is compared row by row before it is drawn again: one new prompt among 10,000 draws few pages. */
export class QueuePage extends Component<QueuePageProps> {
  readonly #list = createRef<HTMLUListElement>();
  readonly #isShown = signal(true);
  readonly #clocks = clocksWhile(this.#isShown);

  /** The browser says when a page comes near the screen, gets the focus, or is found by a search in the page. */
  override componentDidMount(): void {
    this.#list.current?.addEventListener("contentvisibilityautostatechange", (event) => {
      if (event.target !== event.currentTarget) return;
      if (event instanceof ContentVisibilityAutoStateChangeEvent) this.#isShown.value = !event.skipped;
    });
  }

  override shouldComponentUpdate(next: QueuePageProps): boolean {
    const now = this.props;
    if (now.rows.length !== next.rows.length || now.rows.some((row, index) => row !== next.rows[index]))
      return true;
    if (
      now.label !== next.label ||
      now.isUnderDay !== next.isUnderDay ||
      now.isLive !== next.isLive ||
      now.speech !== next.speech
    )
      return true;
    if (now.subject !== next.subject || now.groups !== next.groups) return true;
    if ((now.chosen === undefined) !== (next.chosen === undefined)) return true;
    for (const name of ["selected", "active"] as const) {
      if (now[name] !== next[name] && (isIn(next.rows, now[name]) || isIn(next.rows, next[name])))
        return true;
    }
    const ids = next.rows.map((row) => idOf(row.prompt));
    if (ids.some((id) => !isSame(now.similar.get(id), next.similar.get(id)))) return true;
    if (now.chosen === next.chosen) return false;
    return ids.some((id) => now.chosen?.has(id) !== next.chosen?.has(id));
  }

  render({
    label,
    rows,
    selected,
    active,
    chosen,
    subject,
    groups,
    now,
    isLive,
    speech,
    isUnderDay,
    similar,
    isGrouped,
  }: QueuePageProps) {
    const Heading = isGrouped ? "h3" : "h2";
    return (
      <ul
        ref={this.#list}
        class="rows"
        aria-label={label}
        style={{ containIntrinsicSize: `auto ${rows.length * ROW_PX}px` }}
      >
        {/* One flat list: in lists of their own, rows would be made again where a row comes above them. */}
        {rows.flatMap((row) => {
          const id = idOf(row.prompt);
          const all = similar.get(id);
          return [
            all?.first === id ? (
              <li key={`similar ${id}`} class="similar">
                <Heading>
                  <Name text={all.name} /> <span class="count">{all.open.length.toLocaleString()}</span>
                </Heading>
                <button
                  type="button"
                  class="link-button"
                  title={all.name}
                  tabIndex={all.isActive ? 0 : -1}
                  data-similar={id}
                >
                  {t("similar.choose", { n: all.open.length })}
                </button>
              </li>
            ) : null,
            <QueueRow
              key={id}
              row={row}
              subject={subject}
              groups={groups}
              now={now}
              clocks={this.#clocks}
              isLive={isLive}
              isSelected={id === selected}
              isActive={id === active}
              isChosen={chosen?.has(id)}
              speech={speech}
              isUnderDay={isUnderDay}
              isSimilar={all !== undefined}
            />,
          ];
        })}
      </ul>
    );
  }
}

/** About the height of a row, for the scroll bar: pages that were never shown count with it. */
const ROW_PX = 72;
