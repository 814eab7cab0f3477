// Where a prompt is answered: what stands in the way, the comment, the decisions. It is part of the layout, always
// at the same place, and never moves while a pointer is over it.

import type { Row } from "../model/inbox";
import { rich, t } from "../words/later";
import { chooseText, hindrance, send, unseenLines } from "./deciding";
import { DecisionButton } from "./decision_button";
import { type Hindrance, isRefusal } from "./decision_rules";
import { AudienceText } from "./detail_header";
import { ErrorNote } from "./errors";
import { KeyHint } from "./key_hint";
import { nameOf, verbOf } from "./labels";
import { chosen, leave, nextOpen } from "./list_state";
import { type Page, usePage } from "./page";
import { isSend } from "./press";
import { claimant, decisionsOf, idOf, instant, isOpen, takesValues } from "./prompt_facts";
import { go } from "./route";
import { disturb, isSteadyClick, unsteady } from "./steady";
import { Tombstone } from "./tombstone";
import { Icon, Name, Time } from "./ui";
import { Unseen } from "./unseen";
import type { Pending, Work } from "./work";

interface BarProps {
  readonly row: Row;
  readonly work: Work;
}

export function AnswerBar({ row, work }: BarProps) {
  const page = usePage();
  if (!isOpen(row)) return <Tombstone row={row} work={work} />;
  const why = hindrance(page, row, work);
  if (chosen.value.size > 0) return <ForTheChosen />;
  return (
    <section class={`answer${why === null ? "" : ` is-${why}`}`} aria-label={t("answer.title")}>
      <div class="answer-top">
        <Status row={row} work={work} why={why} />
        <Skip id={idOf(row.prompt)} />
      </div>
      <CommentField row={row} work={work} isLocked={why === "sending"} />
      <div class="decisions">
        {why === "changed" ? (
          <p class="decisions-changed">{t("amended.bar")}</p>
        ) : (
          decisionsOf(work.shown.value).map((option) => (
            <DecisionButton key={option.decision} row={row} work={work} option={option} why={why} />
          ))
        )}
      </div>
    </section>
  );
}

/** While rows are chosen, the only decision on the screen is the joint one. */
function ForTheChosen() {
  return (
    <section class="answer" aria-label={t("answer.title")}>
      <p class="status-text">
        <span>{t("why.chosen", { n: chosen.value.size })}</span>
        <button
          type="button"
          class="button is-small"
          onClick={() => {
            chosen.value = new Set();
          }}
        >
          {t("chosen.clear")}
        </button>
      </p>
    </section>
  );
}

/** One line above the comment: what stands in the way, what is asked before the answer goes, what became of it. */
function Status({ row, work, why }: BarProps & { readonly why: Hindrance | null }) {
  const page = usePage();
  const sent = page.inbox.submission(work.promptId).value;
  const pending = work.pending.value;
  return (
    <div class="answer-status" id="answer-why">
      {why !== null ? (
        <Why page={page} row={row} work={work} why={why} />
      ) : pending !== null ? (
        <PendingText work={work} pending={pending} />
      ) : work.mustChoose.value ? (
        <p class="status-text is-alert">
          <Icon name="alert" />
          <span>{chooseText(work)}</span>
        </p>
      ) : sent?.state === "refused" ? (
        <ErrorNote error={sent.error} />
      ) : sent?.state === "invalid" ? (
        <Violations work={work} />
      ) : sent?.state === "stale" ? (
        <p class="status-text is-alert">{t("verdict.stale")}</p>
      ) : sent?.state === "recorded" ? (
        <p class="status-text">{t("verdict.recorded")}</p>
      ) : (
        <Unseen />
      )}
    </div>
  );
}

function Why({ page, row, work, why }: BarProps & { readonly page: Page; readonly why: Hindrance }) {
  const { inbox } = page;
  if (why === "sending") {
    const sent = inbox.submission(work.promptId).value;
    return (
      <p class="status-text">
        {sent?.state === "unconfirmed" ? t("verdict.unconfirmed") : t("verdict.sending")}
      </p>
    );
  }
  if (why === "changed") {
    return (
      <p class="status-text is-alert">
        <Icon name="alert" />
        <span>
          <strong>{t("amended.title")}</strong> {t("amended.text")}
        </span>
        <button
          type="button"
          class="button is-main"
          data-command="review"
          aria-disabled={unsteady.value}
          onClick={(event) => {
            if (!isSteadyClick(event, inbox.steadySince.peek())) return;
            work.review(row.prompt);
            disturb();
            document.getElementById("prompt-title")?.focus();
          }}
        >
          {t("amended.review")}
        </button>
      </p>
    );
  }
  if (why === "claimed") {
    const now = inbox.now();
    const until = instant(row.prompt.claimExpireTime);
    return (
      <p class="status-text is-alert">
        <Icon name="person" />
        <span>
          {rich("why.claimed", {
            name: (
              <strong>
                <Name text={claimant(row.prompt, now)} />
              </strong>
            ),
            time: until === undefined ? "" : <Time at={until} now={now} />,
          })}
        </span>
      </p>
    );
  }
  return (
    <p class="status-text is-alert">
      <Icon name="alert" />
      <span>
        {why === "not_for" ? (
          <AudienceText content={row.prompt.content ?? {}} />
        ) : (
          t(why === "signed_out" ? "why.signed_out" : "why.offline")
        )}
      </span>
    </p>
  );
}

function PendingText({ work, pending }: { readonly work: Work; readonly pending: Pending }) {
  const option = decisionsOf(work.shown.peek()).find((one) => one.decision === pending.decision);
  const verb = option === undefined ? verbOf(pending.decision) : nameOf(option);
  work.touched.value;
  work.edits.value;
  const text = pendingText(work, pending, verb, option?.commentRequired === true);
  return (
    <p class="status-text is-alert" role="status">
      <Icon name="alert" />
      <span>
        {text}{" "}
        <button
          type="button"
          class="link-button"
          onClick={() => {
            work.pending.value = null;
          }}
        >
          {t("confirm.back")}
        </button>
      </span>
    </p>
  );
}

/** What is missing before the chosen decision can be sent, or what a second press would do. */
function pendingText(work: Work, pending: Pending, verb: string, needsComment: boolean): string {
  if (pending.asked?.question === "no_reason") return t("confirm.no_reason", { verb });
  if (pending.asked?.question === "unseen") return t("confirm.unseen", { n: unseenLines.value, verb });
  if (pending.asked?.question === "edits_dropped") return t("confirm.edits_dropped", { verb });
  if (needsComment && work.comment.value.trim() === "") return t("need.comment", { verb });
  if (pending.decision === "DECISION_EDIT" && !work.isEdited && !work.hasChangedValues)
    return t("need.edit", { verb });
  if (takesValues(pending.decision) && !work.form.value.isComplete) return t("need.values", { verb });
  return t("pending.ready", { verb });
}

/** What the service found wrong. What belongs to a field of the form stands there too. */
function Violations({ work }: { readonly work: Work }) {
  const violations = work.violations.value;
  return (
    <div class="status-text is-alert">
      <Icon name="alert" />
      <div>
        <p>{t("verdict.invalid")}</p>
        <ul>
          {violations.map((one) => {
            const problem = work.form.value.problemOf(one);
            return (
              <li key={`${one.field} ${one.description}`}>
                <Name text={problem?.node.entry.title ?? one.field ?? ""} />:{" "}
                <Name text={problem?.message ?? one.description ?? ""} />
              </li>
            );
          })}
        </ul>
      </div>
    </div>
  );
}

function CommentField({ row, work, isLocked }: BarProps & { readonly isLocked: boolean }) {
  const page = usePage();
  const options = decisionsOf(work.shown.value);
  const needed = options.filter((option) => option.commentRequired === true);
  const pending = work.pending.value;
  const chosen = options.find((option) => option.decision === pending?.decision);
  const isMissing =
    pending !== null &&
    needed.some((option) => option.decision === pending.decision) &&
    work.comment.value.trim() === "";
  const names = needed.map(nameOf);
  const onKeyDown = (event: KeyboardEvent) => {
    if (!isSend(event)) return;
    event.preventDefault();
    send(page, row, work, event.timeStamp);
  };
  return (
    <label class="comment">
      <span>
        {t("comment.label")}
        <small>
          {chosen !== undefined && isRefusal(pending?.decision)
            ? t("comment.reason", { verb: nameOf(chosen) })
            : names.length === 0
              ? t("comment.optional")
              : t("comment.needed", { names: names.join(", ") })}
        </small>
      </span>
      <textarea
        id="comment"
        rows={1}
        value={work.comment.value}
        readOnly={isLocked}
        aria-invalid={isMissing}
        aria-describedby="answer-why"
        autocomplete="off"
        dir="auto"
        onInput={(event) => work.setComment(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
    </label>
  );
}

/** Leave it to others, and go on. */
function Skip({ id }: { readonly id: string }) {
  const { inbox } = usePage();
  const next = nextOpen(id);
  if (next === null) return null;
  return (
    <button
      type="button"
      class="button is-skip"
      data-command="skip"
      onClick={(event) => {
        if (!isSteadyClick(event, inbox.steadySince.peek())) return;
        leave(id);
        go({ view: "prompt", promptId: next }, "replace");
      }}
    >
      {t("answer.skip")}
      <KeyHint does="key.skip" />
    </button>
  );
}
