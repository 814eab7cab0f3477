// One row of the queue.

import { Component } from "preact";
import { useComputed } from "@preact/signals";
import type { Row } from "../model/inbox";
import { Plain } from "../content/plain";
import { rich, t } from "../words";
import { doneWords, kindWords, looksOf } from "./labels";
import { claimant, idOf, isAskedAgain, instant, isOpen, priorityOf, urgency } from "./prompt_facts";
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
      now.subject !== next.subject
    );
  }

  render({ row, subject, now, clocks, isSelected, isActive, isChosen, isLive }: QueueRowProps) {
    const { prompt } = row;
    const id = idOf(prompt);
    const open = isOpen(row);
    const created = instant(prompt.createTime);
    const ended = instant((row.closed?.resolution ?? prompt.resolution)?.time);
    const title = prompt.content?.title ?? "";
    const classes = [
      "row",
      open ? "" : "is-closed",
      isSelected ? "is-selected" : "",
      isChosen ? "is-chosen" : "",
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
          <span class="row-state">
            {open ? (
              <Deadline key={prompt.expireTime} prompt={row} now={now} clocks={clocks} isLive={isLive} />
            ) : (
              <Ending row={row} subject={subject} />
            )}
          </span>
          <span class="row-meta">
            <span class="kind">{kindWords(prompt.content?.kind)}</span>
            <span>
              <Name text={prompt.jobType ?? ""} />
            </span>
            {(prompt.requestedBy ?? "") === "" ? null : (
              <span>{rich("row.for", { name: <Name text={prompt.requestedBy ?? ""} /> })}</span>
            )}
            {open ? (
              created === undefined ? null : (
                <Ago key={created} at={created} now={now} tick={clocks.halfMinute} />
              )
            ) : ended === undefined ? null : (
              <Time at={ended} now={now()} />
            )}
            {open ? <Claim row={row} subject={subject} now={now} clocks={clocks} /> : null}
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
  readonly prompt: Row;
  readonly now: () => number;
  readonly clocks: Clocks;
  readonly isLive: boolean;
}

/** The time left. Without a connection it is grey, and the last one that was known. */
function Deadline({ prompt: row, now, clocks, isLive }: TimedProps) {
  const deadline = instant(row.prompt.expireTime);
  const state = useComputed(() => {
    const at = now();
    const how = urgency(deadline, at);
    if (how === "now") clocks.second.value;
    else clocks.halfMinute.value;
    const words =
      deadline === undefined
        ? t("row.deadline.none")
        : how === "over"
          ? t("row.deadline.over")
          : t("row.deadline", { span: span(deadline - at, { seconds: how === "now" }) });
    return `${how}|${words}`;
  });
  const [how = "none", words = ""] = state.value.split("|");
  return (
    <span
      class={isLive ? `deadline is-${how}` : "deadline is-stopped"}
      title={deadline === undefined ? undefined : exact(deadline)}
    >
      {how === "none" ? null : <Icon name={how === "now" || how === "over" ? "alert" : "clock"} />}
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

/** How a prompt ended, in a few words. */
function Ending({ row, subject }: { readonly row: Row; readonly subject: string }) {
  if (row.removed === true && row.closed === undefined) return <span class="ending">{t("row.removed")}</span>;
  const resolution = row.closed?.resolution ?? row.prompt.resolution;
  const answer = resolution?.answer;
  if (resolution?.state === "PROMPT_STATE_ANSWERED") {
    const done = doneWords(answer?.decision);
    if (answer?.source === "ANSWER_SOURCE_TIMEOUT_DEFAULT")
      return (
        <span class="ending">
          <Icon name="clock" />
          {t("row.by_default", { done })}
        </span>
      );
    const isMine = row.closed?.mine === true || (subject !== "" && answer?.userId === subject);
    const who = isMine ? t("row.you") : (answer?.userId ?? "");
    return (
      <span class="ending">
        <Icon name={looksOf(answer?.decision ?? "DECISION_UNSPECIFIED").icon} />
        {who === "" ? done : rich("row.done", { done, name: <Name text={who} /> })}
      </span>
    );
  }
  if (resolution?.state === "PROMPT_STATE_EXPIRED") return <span class="ending">{t("row.expired")}</span>;
  if (resolution?.state === "PROMPT_STATE_SUPERSEDED")
    return <span class="ending">{t("row.superseded")}</span>;
  return <span class="ending">{t("row.cancelled")}</span>;
}
