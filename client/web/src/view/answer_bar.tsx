// Where a prompt is answered: what stands in the way, the comment, the decisions. It is part of the layout, always
// at the same place, and never moves while a pointer is over it.

import type { Row } from "../model/inbox";
import { t } from "../words/later";
import { Status } from "./answer_status";
import { hindrance, send } from "./deciding";
import { DecisionButton } from "./decision_button";
import { isRefusal } from "./decision_rules";
import { WhyExcluded } from "./excluded";
import { KeyHint } from "./key_hint";
import { nameOf } from "./labels";
import { chosen, leave, nextOpen } from "./list_state";
import { OfferOverride } from "./override_offer";
import { usePage } from "./page";
import { isSend } from "./press";
import { decisionsOf, idOf, isOpen } from "./prompt_facts";
import { go } from "./route";
import { isSteadyClick } from "./steady";
import { Tombstone } from "./tombstone";
import { Icon } from "./ui";
import type { Work } from "./work";

interface BarProps {
  readonly row: Row;
  readonly work: Work;
}

export function AnswerBar({ row, work }: BarProps) {
  const page = usePage();
  if (!isOpen(row)) return <Tombstone row={row} work={work} />;
  const why = hindrance(page, row, work);
  if (chosen.value.size > 0) return <ForTheChosen />;
  if (why === "excluded") return <ForTheExcluded row={row} />;
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
      <OfferOverride row={row} />
    </section>
  );
}

/** In place of the comment and the decisions: why this person has none. */
function ForTheExcluded({ row }: { readonly row: Row }) {
  return (
    <section class="answer is-excluded" aria-label={t("answer.title")}>
      <div class="answer-top">
        <p class="status-text is-alert" id="answer-why">
          <Icon name="alert" />
          <span>
            <WhyExcluded row={row} />
          </span>
        </p>
        <Skip id={idOf(row.prompt)} />
      </div>
      <OfferOverride row={row} />
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
