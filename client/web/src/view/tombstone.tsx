// A prompt that is closed: who answered what, and what the person can still do with their own text.

import { useSignal } from "@preact/signals";
import { Plain } from "../content";
import type { Row } from "../model/inbox";
import { rich, t } from "../words/later";
import { givenBy } from "./delegation_calls";
import { copyText } from "./errors";
import { KeyHint } from "./key_hint";
import { decidedWords, looksOf } from "./labels";
import { nextOpen, rowById } from "./list_state";
import { dialog, subjectOf, usePage } from "./page";
import { idOf, instant, isAskedAgain, resolutionOf } from "./prompt_facts";
import { isRecord } from "./query";
import { ReceiptButton } from "./receipt";
import { go, route } from "./route";
import { writesRules } from "./roles";
import { canBeRule } from "./rules/draft";
import { RuleRef } from "./rules/rule_ref";
import { focusMoved, isSteadyClick, unsteady } from "./steady";
import { Icon, Name, Time } from "./ui";
import { GivenText, Undo } from "./undo";
import { isJoint } from "./vote_facts";
import type { Work } from "./work";

export function Tombstone({ row, work }: { readonly row: Row; readonly work: Work }) {
  const page = usePage();
  const sent = page.inbox.submission(work.promptId).value;
  const isMine = sent?.state === "accepted" || row.closed?.mine === true;
  const isLate = sent?.state === "closed";
  const copied = useSignal<boolean | null>(null);
  const answer = resolutionOf(row)?.answer;
  const behalf = answer?.onBehalfOf ?? "";
  const given = resolutionOf(row) === undefined ? givenBy(page, work.promptId) : undefined;
  work.comment.value;
  work.touched.value;
  const hasText = !isMine && work.hasText;
  return (
    <section class={`answer is-closed${isLate ? " is-late" : ""}`} aria-label={t("closed.title")}>
      <div class="tombstone">
        <p class="tombstone-title">
          <Icon name={looksOf(answer?.decision ?? "DECISION_UNSPECIFIED").icon} />
          <span>
            {isLate ? `${t("verdict.late")} ` : ""}
            {given === undefined ? (
              <Ending row={row} isMine={isMine} subject={subjectOf(page)} />
            ) : (
              <>
                <GivenText given={given} /> <Undo given={given} />
              </>
            )}
            {behalf === "" ? null : <> {rich("closed.behalf", { name: <Name text={behalf} /> })}</>}
            {sent?.state === "accepted" && sent.replayed ? ` ${t("verdict.replayed")}` : ""}
            {(answer?.batchId ?? "") === "" ? "" : ` ${t("closed.joint")}`}
          </span>
        </p>
        <Comment row={row} />
        {writesRules(page.inbox.session.value) && canBeRule(row.prompt, answer) ? (
          <p>
            <button
              type="button"
              class="button is-small"
              data-command="always"
              aria-disabled={unsteady.value}
              onClick={(event) => {
                if (isSteadyClick(event, page.inbox.steadySince.peek())) dialog.value = "always";
              }}
            >
              {t("always.open")}
            </button>
          </p>
        ) : null}
        {resolutionOf(row) === undefined ? null : (
          <div class="tombstone-receipt">
            <ReceiptButton key={work.promptId} promptId={work.promptId} />
          </div>
        )}
        {focusMoved.value ? <p role="status">{t("closed.keys_wait")}</p> : null}
        {hasText ? (
          <p class="tombstone-text">
            <label>
              {t("closed.your_text")}
              <textarea class="tombstone-own" data-kept-text rows={2} readOnly dir="auto" value={work.text} />
            </label>
            <button
              type="button"
              class="button is-small"
              data-command="copy"
              onClick={async () => {
                copied.value = await copyText(work.text);
              }}
            >
              {t("closed.copy")}
            </button>{" "}
            <span role="status">
              {copied.value === null ? "" : copied.value ? t("closed.copied") : t("closed.not_copied")}
            </span>
          </p>
        ) : null}
      </div>
      <Next id={idOf(row.prompt)} />
    </section>
  );
}

function Ending({
  row,
  isMine,
  subject,
}: {
  readonly row: Row;
  readonly isMine: boolean;
  readonly subject: string;
}) {
  const { inbox } = usePage();
  const now = inbox.now();
  const resolution = resolutionOf(row);
  if (resolution === undefined) return <>{t("closed.removed")}</>;
  const at = instant(resolution.time) ?? row.closed?.at;
  const time = at === undefined ? "" : <Time at={at} now={now} />;
  const answer = resolution.answer;
  const done = (
    <strong>
      <Name text={decidedWords(row.prompt, answer?.decision)} />
    </strong>
  );
  if (resolution.state === "PROMPT_STATE_ANSWERED") {
    if (answer?.source === "ANSWER_SOURCE_TIMEOUT_DEFAULT")
      return <>{rich("closed.default", { done, time })}</>;
    const who = answer?.userId ?? resolution.actor ?? "";
    const name = (
      <strong>
        <Name text={who || t("someone")} />
      </strong>
    );
    if (answer?.source === "ANSWER_SOURCE_OVERRIDE")
      return <>{rich("closed.overridden", { done, time, name })}</>;
    if (isJoint(row.prompt, answer?.decision)) return <>{rich("closed.votes", { done, time, name })}</>;
    if (answer?.source === "ANSWER_SOURCE_RULE") {
      const key = who === subject ? "closed.rule.mine" : "closed.rule";
      return <>{rich(key, { done, time, name, rule: <RuleRef made={answer} /> })}</>;
    }
    if (isMine) return <>{rich("closed.mine", { done, time })}</>;
    if (who === subject && who !== "") return <>{rich("closed.mine_elsewhere", { done, time })}</>;
    return <>{rich("closed.other", { done, time, name })}</>;
  }
  if (resolution.state === "PROMPT_STATE_EXPIRED") return <>{rich("closed.expired", { time })}</>;
  if (resolution.state === "PROMPT_STATE_SUPERSEDED") return <>{rich("closed.superseded", { time })}</>;
  return (
    <>
      {rich("closed.cancelled", { time, reason: <Name text={resolution.reason || t("closed.no_reason")} /> })}
    </>
  );
}

function Comment({ row }: { readonly row: Row }) {
  const comment = resolutionOf(row)?.answer?.comment ?? "";
  if (comment === "") return null;
  return (
    <blockquote class="tombstone-comment">
      <Plain text={comment} />
    </blockquote>
  );
}

/** The next open prompt: offered, and reached by one key. The selection never moves by itself. */
function Next({ id }: { readonly id: string }) {
  const { inbox } = usePage();
  inbox.rows.value;
  const next = nextOpen(id);
  // A view of what ended has nothing that waits, whatever waits elsewhere.
  if (next === null)
    return isRecord(route.value.query.view) ? null : <p class="next-none">{t("next.none")}</p>;
  const prompt = rowById(next)?.prompt;
  return (
    <button
      type="button"
      class="button is-main is-next"
      data-command="next"
      aria-disabled={unsteady.value}
      onClick={(event) => {
        if (isSteadyClick(event, inbox.steadySince.peek())) go({ view: "prompt", promptId: next }, "replace");
      }}
    >
      <span>
        {prompt !== undefined && isAskedAgain(prompt) ? `${t("row.again")}.` : t("next.label")}{" "}
        <Name text={prompt?.content?.title ?? ""} />
      </span>
      <KeyHint does="key.skip" />
    </button>
  );
}
