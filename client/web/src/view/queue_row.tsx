// One row of the queue.

import { useComputed } from "@preact/signals";
import { Component } from "preact";
import { Plain } from "../content/plain";
import type { Row } from "../model/inbox";
import { rich, t } from "../words";
import { RowEnding } from "./ending";
import { kindWords } from "./labels";
import {
  claimant,
  endOf,
  idOf,
  instant,
  isAskedAgain,
  isOpen,
  priorityOf,
  requesterOf,
  saysMore,
  urgency,
  voteOf,
} from "./prompt_facts";
import { rightOf } from "./rights";
import { formatRoute, route } from "./route";
import { type Clocks, exact, span } from "./times";
import { Ago, Icon, Name, Time } from "./ui";

interface QueueRowProps {
  readonly row: Row;
  readonly subject: string;
  readonly now: () => number;
  readonly clocks: Clocks;
  readonly isLive: boolean;
  readonly isSelected: boolean;
  readonly isActive: boolean;
  /** Undefined: rows cannot be chosen here. */
  readonly isChosen: boolean | undefined;
  /** The day of its end is a heading above it. */
  readonly isUnderDay: boolean;
  /** It stands under the heading of similar rows. */
  readonly isSimilar: boolean;
  /** The language and other things that change every row's texts. */
  readonly speech: string;
}

/** A row is drawn again only if something in it changed: lists may have thousands. */
export class QueueRow extends Component<QueueRowProps> {
  override shouldComponentUpdate(next: QueueRowProps): boolean {
    const now = this.props;
    return (
      now.row !== next.row ||
      now.isSelected !== next.isSelected ||
      now.isActive !== next.isActive ||
      now.isChosen !== next.isChosen ||
      now.isLive !== next.isLive ||
      now.speech !== next.speech ||
      now.isUnderDay !== next.isUnderDay ||
      now.isSimilar !== next.isSimilar ||
      now.subject !== next.subject
    );
  }

  render(props: QueueRowProps) {
    const { row, subject, now, clocks, isSelected, isActive, isChosen, isLive, isUnderDay } = props;
    const { prompt } = row;
    const id = idOf(prompt);
    const open = isOpen(row);
    const deadline = instant(prompt.expireTime);
    const created = instant(prompt.createTime);
    const ended = endOf(row);
    const title = prompt.content?.title ?? "";
    const requester = requesterOf(prompt);
    const behalf = rightOf(prompt, { subject })?.delegation?.holder;
    const classes = [
      "row",
      open ? "" : "is-closed",
      isSelected ? "is-selected" : "",
      isChosen ? "is-chosen" : "",
      props.isSimilar ? "is-similar" : "",
    ];
    return (
      <li class={classes.filter(Boolean).join(" ")} data-row={id}>
        {isChosen === undefined ? null : (
          <label class="row-choose">
            <input
              type="checkbox"
              checked={isChosen}
              tabIndex={isActive ? 0 : -1}
              data-choose={id}
              aria-label={t("row.choose", { title })}
              aria-disabled={!open}
            />
          </label>
        )}
        <a
          class="row-link"
          href={formatRoute({ view: "prompt", promptId: id }, route.peek().query)}
          tabIndex={isActive ? 0 : -1}
          data-open={id}
          aria-current={isSelected ? "true" : undefined}
        >
          <span class="row-title">
            <Priority value={priorityOf(prompt)} />
            <span class="row-words">
              <Plain text={title} />
            </span>
          </span>
          <span class="row-meta">
            {!open ? (
              <RowEnding row={row} subject={subject} />
            ) : deadline === undefined ? null : (
              <Deadline key={deadline} {...{ deadline, now, clocks, isLive }} />
            )}
            <span class="kind">{kindWords(prompt.content?.kind)}</span>
            {saysMore(prompt.jobType) ? <Name text={prompt.jobType ?? ""} /> : null}
            {requester === "" ? null : <span>{rich("row.for", { name: <Name text={requester} /> })}</span>}
            {open ? (
              created === undefined ? null : (
                <Ago key={created} at={created} now={now} tick={clocks.halfMinute} />
              )
            ) : ended === undefined ? null : (
              <Time at={ended} now={isUnderDay ? ended : now()} />
            )}
            {open ? <Claim row={row} subject={subject} now={now} clocks={clocks} /> : null}
            {open && behalf !== undefined ? (
              <span class="mark">{rich("row.behalf", { name: <Name text={behalf} /> })}</span>
            ) : null}
            {open && voteOf(prompt, subject) !== undefined ? (
              <span class="mark">{t("row.voted")}</span>
            ) : null}
            {isAskedAgain(prompt) ? (
              <span class="mark">
                <Icon name="redo" />
                {t("row.again")}
              </span>
            ) : null}
            {open && prompt.unattendedTime !== undefined ? (
              <span class="mark" title={t("row.unattended.more")}>
                <Icon name="away" />
                {t("row.unattended")}
              </span>
            ) : null}
          </span>
        </a>
      </li>
    );
  }
}

function Priority({ value }: { readonly value: number }) {
  if (value === 0) return null;
  const text = value > 0 ? t("row.priority.high", { n: value }) : t("row.priority.low", { n: value });
  return (
    <span class={value > 0 ? "priority is-high" : "priority"} title={text}>
      <Icon name={value > 0 ? "up" : "down"} />
      <span class="visually-hidden">{text}. </span>
      <span aria-hidden="true">{value}</span>
    </span>
  );
}

interface TimedProps {
  readonly deadline: number;
  readonly now: () => number;
  readonly clocks: Clocks;
  readonly isLive: boolean;
}

/** The time left. Without a connection it is grey, and the last one that was known. */
function Deadline({ deadline, now, clocks, isLive }: TimedProps) {
  const state = useComputed(() => {
    const at = now();
    const how = urgency(deadline, at);
    if (how === "now") clocks.second.value;
    else clocks.halfMinute.value;
    const words =
      how === "over"
        ? t("row.deadline.over")
        : t("row.deadline", { span: span(deadline - at, { seconds: how === "now" }) });
    return `${how}|${words}`;
  });
  const [how = "", words = ""] = state.value.split("|");
  return (
    <span class={isLive ? `deadline is-${how}` : "deadline is-stopped"} title={exact(deadline)}>
      <Icon name={how === "now" || how === "over" ? "alert" : "clock"} />
      {words}
    </span>
  );
}

/** Who has it claimed. */
function Claim({
  row,
  subject,
  now,
  clocks,
}: {
  readonly row: Row;
  readonly subject: string;
  readonly now: () => number;
  readonly clocks: Clocks;
}) {
  clocks.halfMinute.value;
  const holder = claimant(row.prompt, now());
  if (holder === "") return null;
  return (
    <span class={holder === subject ? "mark is-mine" : "mark"}>
      <Icon name="person" />
      {holder === subject ? t("row.claim.mine") : rich("row.claim", { name: <Name text={holder} /> })}
    </span>
  );
}
