// The line above the comment: what stands in the way of an answer, what is asked before it goes, what became of it.

import type { CallError } from "../model/call_error";
import type { Row } from "../model/inbox";
import { rich, t } from "../words/later";
import { chooseText, unseenLines } from "./deciding";
import type { Hindrance } from "./decision_rules";
import { AudienceText } from "./detail_header";
import { ErrorNote } from "./errors";
import { nameOf, verbOf } from "./labels";
import { type Page, subjectOf, usePage } from "./page";
import { claimant, decisionsOf, instant, isOfNoGroup, takesValues, voteOf } from "./prompt_facts";
import { disturb, isSteadyClick, unsteady } from "./steady";
import { Icon, Name, Time } from "./ui";
import { Unseen } from "./unseen";
import { votedText } from "./vote_facts";
import { Withdraw } from "./withdraw";
import type { Pending, Work } from "./work";

interface StatusProps {
  readonly row: Row;
  readonly work: Work;
}

/** One line above the comment: what stands in the way, what is asked before the answer goes, what became of it. */
export function Status({ row, work, why }: StatusProps & { readonly why: Hindrance | null }) {
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
        <Refused row={row} error={sent.error} />
      ) : sent?.state === "invalid" ? (
        <Violations work={work} />
      ) : sent?.state === "stale" ? (
        <p class="status-text is-alert">{t("verdict.stale")}</p>
      ) : voteOf(row.prompt, subjectOf(page)) !== undefined ? (
        <Voted row={row} work={work} />
      ) : sent?.state === "recorded" && row.prompt.content?.approval === undefined ? (
        <p class="status-text">{t("verdict.recorded")}</p>
      ) : isOfNoGroup(row.prompt, page.inbox.session.value) ? (
        <p class="status-text">
          <Icon name="alert" />
          <span>
            {t("why.in_vain", {
              groups: (row.prompt.content?.approval?.perGroup ?? []).map((one) => one.group ?? "").join(", "),
            })}
          </span>
        </p>
      ) : (
        <Unseen />
      )}
    </div>
  );
}

/** Of a vote the service says why it does not count: more than that the person lacks a right. */
function Refused({ row, error }: { readonly row: Row; readonly error: CallError }) {
  return row.prompt.content?.approval !== undefined && error.code === "permission_denied" ? (
    <div class="error-note">
      <p>
        <Name text={error.message} />
      </p>
    </div>
  ) : (
    <ErrorNote error={error} />
  );
}

function Why({ page, row, work, why }: StatusProps & { readonly page: Page; readonly why: Hindrance }) {
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
          <AudienceText prompt={row.prompt} />
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

/** What the person has voted, with the way to take it back. */
function Voted({ row, work }: StatusProps) {
  const page = usePage();
  return (
    <p class="status-text is-voted">
      <Icon name="check" />
      <span>
        {votedText(row.prompt, subjectOf(page))} {t("voted.change")}{" "}
        <Withdraw row={row} work={work} class="link-button" />
      </span>
    </p>
  );
}
