// How a prompt ended, in a few words.

import type { Row } from "../model/inbox";
import type { Prompt, Resolution } from "../wire/messages";
import { rich, t } from "../words";
import { answeredBy, decidedWords, looksOf } from "./labels";
import { resolutionOf } from "./prompt_facts";
import { Icon, Name } from "./ui";

export function RowEnding({ row, subject }: { readonly row: Row; readonly subject: string }) {
  const resolution = resolutionOf(row);
  if (row.removed === true && row.closed === undefined) return <span class="ending">{t("row.removed")}</span>;
  return <Ending {...{ prompt: row.prompt, resolution, subject }} isMine={row.closed?.mine === true} />;
}

interface EndingProps {
  readonly prompt: Prompt;
  readonly resolution: Resolution | undefined;
  readonly subject: string;
  /** This page sent the answer that counts. */
  readonly isMine?: boolean;
}

export function Ending({ prompt, resolution, subject, isMine = false }: EndingProps) {
  const answer = resolution?.answer;
  if (resolution?.state === "PROMPT_STATE_ANSWERED") {
    const done = <Name text={decidedWords(prompt, answer?.decision)} />;
    if (answer?.source === "ANSWER_SOURCE_TIMEOUT_DEFAULT")
      return (
        <span class="ending">
          <Icon name="clock" />
          <span>{rich("row.by_default", { done })}</span>
        </span>
      );
    if (answer?.source === "ANSWER_SOURCE_OVERRIDE")
      return (
        <span class="ending">
          <Icon name="alert" />
          <span>{rich("row.overridden", { done, name: <Name text={answer.userId ?? ""} /> })}</span>
        </span>
      );
    const isOwn = isMine || (subject !== "" && answer?.userId === subject);
    const who = answeredBy(answer, isOwn ? t("row.you") : undefined);
    const key = answer?.source === "ANSWER_SOURCE_RULE" ? "row.by_rule" : "row.done";
    return (
      <span class="ending">
        <Icon name={looksOf(answer?.decision ?? "DECISION_UNSPECIFIED").icon} />
        {who === "" ? done : <span>{rich(key, { done, name: <Name text={who} /> })}</span>}
      </span>
    );
  }
  if (resolution?.state === "PROMPT_STATE_EXPIRED") return <span class="ending">{t("row.expired")}</span>;
  if (resolution?.state === "PROMPT_STATE_SUPERSEDED")
    return <span class="ending">{t("row.superseded")}</span>;
  return <span class="ending">{t("row.cancelled")}</span>;
}
