// One decision for several chosen prompts: first a table of what would be sent, then one result for each.

import { effect, useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { Plain } from "../content";
import type { Inbox } from "../model/inbox";
import type { Decision, Prompt } from "../wire/messages";
import { rich } from "../words";
import { t } from "../words/later";
import { type BulkRow, bulkDecisions, bulkRow } from "./bulk_rules";
import { resultText } from "./bulk_words";
import { Ending, RowEnding } from "./ending";
import { decisionWords, kindWords, looksOf, typeWords, verbOf } from "./labels";
import { chosen, jointDecision, rowById } from "./list_state";
import { oneLine } from "./one_line";
import { dialog, subjectOf, usePage } from "./page";
import { claimant, contentOf, idOf, isOpen, requesterOf, showsSame } from "./prompt_facts";
import { isSteadyClick, unsteady } from "./steady";
import { Dialog, Icon, Name } from "./ui";
import type { Work } from "./work";

export function Bulk() {
  const page = usePage();
  const { inbox } = page;
  // What the table shows is what is decided on: a prompt that changes meanwhile is left out.
  const prompts = useRef<readonly Prompt[] | null>(null);
  const isBack = useRef(jointDecision.peek()).current;
  prompts.current ??=
    isBack?.prompts ??
    [...chosen.peek()].flatMap((id) => {
      const row = rowById(id);
      return row === undefined ? [] : [row.prompt];
    });
  const decision = useSignal<Decision | null>(isBack?.decision ?? null);
  const comment = useSignal(isBack?.comment ?? "");
  const sentIds = jointDecision.value?.sent ?? null;
  const rows = inbox.rows.value;
  const person = { ...inbox.session.value, subject: subjectOf(page) };
  const table = prompts.current.map((prompt) =>
    bulkRow(prompt, rows.get(idOf(prompt)), decision.value, comment.value, person, inbox.now()),
  );
  const toSend = table.filter((row) => row.option !== undefined);
  const isSent = sentIds !== null;
  const canSend = toSend.length > 0 && inbox.canDecide.value && !isSent;
  const close = () => {
    dialog.value = null;
  };
  const confirm = (event: MouseEvent) => {
    if (!canSend || !isSteadyClick(event, inbox.steadySince.peek())) return;
    jointDecision.value = {
      prompts: table.map((row) => row.shown),
      decision: decision.peek(),
      comment: comment.peek(),
      sent: new Set(toSend.map((row) => idOf(row.shown))),
    };
    const leftOut = table.filter((row) => row.option === undefined && row.leftOut !== "closed");
    chosen.value = new Set(leftOut.map((row) => idOf(row.shown)));
    sendAll(inbox, toSend, comment.peek().trim());
  };
  return (
    <Dialog title={t("bulk.title", { n: prompts.current.length })} onClose={close} wide>
      <div class="dialog-body bulk">
        {isSent ? (
          <p>{t("bulk.sent")}</p>
        ) : (
          <Choices
            prompts={prompts.current}
            decision={decision.value}
            comment={comment.value}
            onDecision={(value) => {
              decision.value = value;
            }}
            onComment={(value) => {
              comment.value = value;
            }}
          />
        )}
        <div class="table-scroll">
          <table>
            <caption class="visually-hidden">{t("bulk.table")}</caption>
            <thead>
              <tr>
                <th scope="col">{t("bulk.question")}</th>
                <th scope="col">{t("bulk.asks")}</th>
                <th scope="col">{isSent ? t("bulk.result") : t("bulk.will")}</th>
              </tr>
            </thead>
            <tbody>
              {table.map((row) => (
                <tr key={idOf(row.shown)} data-bulk={idOf(row.shown)}>
                  <th scope="row">
                    <Plain text={row.shown.content?.title ?? ""} />
                    {isSent ? null : <Reading work={page.works.get(idOf(row.shown))} prompt={row.shown} />}
                  </th>
                  <td>
                    {kindWords(row.shown.content?.kind)} · <Name text={typeWords(row.shown.jobType)} />
                    {requesterOf(row.shown) === "" ? null : (
                      <> · {rich("row.for", { name: <Name text={requesterOf(row.shown)} /> })}</>
                    )}
                  </td>
                  <td>
                    {sentIds?.has(idOf(row.shown)) === true ? (
                      <Result inbox={inbox} id={idOf(row.shown)} />
                    ) : (
                      <Plan row={row} now={inbox.now()} isChosen={decision.value !== null} />
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </div>
      <footer class="dialog-foot">
        {isSent ? (
          <button type="button" class="button is-main" onClick={close}>
            {t("close")}
          </button>
        ) : (
          <>
            <button
              type="button"
              class="button is-main"
              data-command="bulk-confirm"
              aria-disabled={!canSend || unsteady.value}
              aria-describedby="bulk-why"
              onClick={confirm}
            >
              {decision.value === null
                ? t("bulk.choose")
                : t("bulk.confirm", { verb: verbFor(prompts.current, decision.value), n: toSend.length })}
            </button>
            <button type="button" class="button" onClick={close}>
              {t("cancel")}
            </button>
            <span id="bulk-why" class="hint">
              {inbox.canDecide.value ? t("bulk.one_by_one") : t("why.offline")}
            </span>
          </>
        )}
      </footer>
    </Dialog>
  );
}

/** How a question's text begins, and whether the person has opened it: titles alone are no reason to agree. */
function Reading({ work, prompt }: { readonly work: Work | undefined; readonly prompt: Prompt }) {
  const { body = "", contents = [] } = prompt.content ?? {};
  const text = body === "" ? (contents[0]?.text ?? "") : body;
  const isOpened = work !== undefined && showsSame(work.shown.value, prompt);
  return (
    <small class="bulk-reading">
      {isOpened ? null : <span class="mark">{t("bulk.not_opened")}</span>} <Plain text={firstLine(text)} />
    </small>
  );
}

function firstLine(text: string): string {
  return oneLine(text.trimStart().split("\n", 1)[0] ?? "", 120);
}

interface ChoicesProps {
  readonly prompts: readonly Prompt[];
  readonly decision: Decision | null;
  readonly comment: string;
  readonly onDecision: (decision: Decision) => void;
  readonly onComment: (text: string) => void;
}

function Choices({ prompts, decision, comment, onDecision, onComment }: ChoicesProps) {
  const options = [...bulkDecisions(prompts)];
  if (options.length === 0) return <p class="notice">{t("bulk.nothing")}</p>;
  return (
    <>
      <fieldset class="bulk-choices">
        <legend>{t("bulk.decision")}</legend>
        {options.map(([one, n]) => (
          <label key={one} class="choice">
            <input type="radio" name="bulk" checked={decision === one} onChange={() => onDecision(one)} />
            <Icon name={looksOf(one).icon} />
            {t("bulk.option", { verb: verbFor(prompts, one), n, all: prompts.length })}
          </label>
        ))}
      </fieldset>
      <label class="comment">
        <span>{t("bulk.comment")}</span>
        <textarea
          rows={2}
          value={comment}
          autocomplete="off"
          dir="auto"
          onInput={(event) => onComment(event.currentTarget.value)}
        />
      </label>
    </>
  );
}

/** The word for a decision: the one on the buttons of all these prompts, if it is the same. */
function verbFor(prompts: readonly Prompt[], decision: Decision): string {
  const options = prompts.flatMap((one) => one.content?.decisions ?? []);
  const verbs = new Set(
    options.flatMap((one) => (one.decision === decision ? [decisionWords(one).verb] : [])),
  );
  const [verb] = verbs;
  return verbs.size === 1 && verb !== undefined ? verb : verbOf(decision);
}

/** What would be sent for a prompt, or why it is left out. */
function Plan({
  row,
  now,
  isChosen,
}: {
  readonly row: BulkRow;
  readonly now: number;
  readonly isChosen: boolean;
}) {
  const { subject } = usePage().session;
  if (row.resolution !== undefined) {
    return (
      <span class="left-out">
        {t("bulk.left_out")} <Ending prompt={row.shown} resolution={row.resolution} subject={subject ?? ""} />
      </span>
    );
  }
  if (row.leftOut !== undefined) {
    return (
      <span class="left-out">
        {t("bulk.left_out")} {t(`bulk.left_out.${row.leftOut}`, { name: claimant(row.shown, now) })}
      </span>
    );
  }
  if (!isChosen || row.option === undefined) return <span class="hint">{t("bulk.undecided")}</span>;
  const words = decisionWords(row.option);
  return (
    <strong>
      {words.verb}
      {words.label === "" ? null : (
        <>
          {" ("}
          <Name text={words.label} />
          {")"}
        </>
      )}
    </strong>
  );
}

/** What became of the answer to one prompt. */
function Result({ inbox, id }: { readonly inbox: Inbox; readonly id: string }) {
  const sent = inbox.submission(id).value;
  const { subject = "" } = usePage().session;
  const row = inbox.rows.value.get(id);
  return (
    <span data-result={sent?.state}>
      {resultText(sent, row?.prompt, subject)}
      {sent?.state === "closed" && row !== undefined && !isOpen(row) ? (
        <RowEnding {...{ row, subject }} />
      ) : null}
    </span>
  );
}

/** Send the decision. Each answer has a result of its own; a row whose answer failed is chosen again. */
function sendAll(inbox: Inbox, rows: readonly BulkRow[], comment: string): void {
  const waiting = new Set(rows.map((row) => idOf(row.shown)));
  for (const id of waiting) inbox.forgetSubmission(id);
  inbox.submitTogether(
    rows.map(({ shown }) => ({ promptId: idOf(shown), ...contentOf(shown) })),
    {
      decision: rows[0]?.option?.decision ?? "DECISION_UNSPECIFIED",
      ...(comment === "" ? {} : { comment }),
    },
  );
  const stop = effect(() => {
    const failed: string[] = [];
    for (const id of waiting) {
      const state = inbox.submission(id).value?.state;
      if (state === "sending" || state === "unconfirmed") continue;
      waiting.delete(id);
      const row = rowById(id);
      if (
        state !== "accepted" &&
        state !== "recorded" &&
        state !== "closed" &&
        row !== undefined &&
        isOpen(row)
      )
        failed.push(id);
    }
    if (failed.length > 0) chosen.value = new Set([...chosen.peek(), ...failed]);
    // An effect that runs for the first time has no function yet that stops it.
    if (waiting.size === 0) queueMicrotask(() => stop());
  });
}
