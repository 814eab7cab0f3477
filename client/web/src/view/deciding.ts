// Carries a pressed decision out: checks that it may act, asks what must be asked first, and sends it.

import { signal } from "@preact/signals";
import type { AnswerBody, Row } from "../model/inbox";
import type { DecisionOption } from "../wire/messages";
import { locale, t } from "../words";
import { type Hindrance, hindranceOf, type Question, type Situation, stepOf } from "./decision_rules";
import { nameOf } from "./labels";
import { chosen } from "./list_state";
import { interrupt } from "./live";
import { dialog, type Page, subjectOf } from "./page";
import { Presses, type Target } from "./press";
import {
  authorises,
  contentOf,
  decisionsOf,
  hasForm,
  idOf,
  isClaimedByOther,
  isExcluded,
  isFor,
  isOfNoGroup,
  isOpen,
  revisionOf,
  showsSame,
  takesValues,
} from "./prompt_facts";
import { dim, type How, isSteady } from "./steady";
import type { Work } from "./work";

/** What is painted in the detail pane: the prompt and the revision that an answer would be about. */
export const painted = signal<Target | null>(null);
/** How many lines of the painted prompt were not scrolled into view. */
export const unseenLines = signal(0);
/** Where keys and pointers went down. */
export const presses = new Presses();

/** Things of the detail pane that a decision needs: where to put the focus. */
interface Focus {
  comment(): void;
  problems(): void;
  edit(): void;
  /** The next change of a diff. */
  change(): void;
}

let focus: Focus | null = null;

export function setFocusTargets(targets: Focus | null): void {
  focus = targets;
}

/** Show the next change of the diffs in the detail pane. */
export function goToChange(): void {
  focus?.change();
}

/** Whether the prompt excludes the person: as its lists say, or the service to an answer of the painted revision. */
export function excludes(page: Page, row: Row): boolean {
  const sent = page.inbox.submission(idOf(row.prompt)).value;
  return (
    isExcluded(row.prompt, page.inbox.session.value) ||
    (sent?.state === "refused" &&
      sent.error.reason === "ERROR_REASON_EXCLUDED" &&
      sent.body.revision === revisionOf(row.prompt))
  );
}

/** Why nothing can be decided now; null: a decision can be made. */
export function hindrance(page: Page, row: Row, work: Work): Hindrance | null {
  const sent = page.inbox.submission(work.promptId).value;
  const link = page.inbox.link.value;
  return hindranceOf({
    isSending: sent?.state === "sending" || sent?.state === "unconfirmed",
    isOpen: isOpen(row),
    isChanged: !showsSame(row.prompt, work.shown.value),
    isExcluded: excludes(page, row),
    isSignedOut: link === "signed_out",
    canDecide: page.inbox.canDecide.value && link === "live",
    isFor: isFor(row.prompt, page.inbox.session.value),
    isClaimedByOther: isClaimedByOther(row.prompt, subjectOf(page), page.inbox.now()),
    hasChosen: chosen.value.size > 0,
  });
}

function situation(work: Work, option: DecisionOption, confirmed: ReadonlySet<Question>): Situation {
  const prompt = work.shown.peek();
  return {
    comment: work.comment.peek(),
    commentRequired: option.commentRequired === true,
    hasProblems: hasForm(prompt) && "problems" in work.form.peek().values(),
    isChanged: work.isEdited || (hasForm(prompt) && work.hasChangedValues),
    isEdited: work.isEdited,
    hasUnseen: unseenLines.peek() > 0,
    confirmed,
  };
}

/** Whether a decision of this person would not count for the approval. */
export function isInVain(page: Page, row: Row, { decision }: DecisionOption): boolean {
  return authorises(decision) && isOfNoGroup(row.prompt, page.inbox.session.value);
}

/** Whether a press of a decision at `stamp`, the event's own time, may act on what is painted. */
function mayAct(page: Page, row: Row, work: Work, option: DecisionOption, stamp: number, how: How): boolean {
  if (isInVain(page, row, option)) return false;
  const at = painted.peek();
  if (at === null || at.promptId !== work.promptId || dialog.peek() !== null) return false;
  if (at.revision !== revisionOf(work.shown.peek()) || hindrance(page, row, work) !== null) return false;
  return isSteady(stamp, page.inbox.steadySince.peek(), how);
}

/** A decision that needs a text was chosen by its key: it waits for the text. False: the press may not act. */
export function choose(page: Page, row: Row, work: Work, option: DecisionOption, stamp: number): boolean {
  if (!mayAct(page, row, work, option, stamp, "key")) return false;
  work.mustChoose.value = false;
  work.pending.value = { decision: option.decision ?? "DECISION_UNSPECIFIED", confirmed: new Set() };
  return true;
}

/**
 * A decision was pressed at `stamp`, the event's own time. Does nothing where it may not act. A key leads into the
 * comment where a reason is asked for.
 */
export function decide(
  page: Page,
  row: Row,
  work: Work,
  option: DecisionOption,
  stamp: number,
  how: How = "pointer",
): void {
  const decision = option.decision ?? "DECISION_UNSPECIFIED";
  if (!mayAct(page, row, work, option, stamp, how)) return;
  const before = work.pending.peek();
  const again = before?.decision === decision ? before : null;
  const confirmed = new Set(again?.confirmed);
  const asked = again?.asked;
  // A double press is one press: the question could not be read.
  if (asked !== undefined && !isSteady(stamp, asked.at, how)) return;
  if (asked !== undefined) confirmed.add(asked.question);
  const step = stepOf(decision, situation(work, option, confirmed));
  work.mustChoose.value = false;
  page.inbox.forgetSubmission(work.promptId);
  if (step.kind === "send") {
    work.pending.value = null;
    page.inbox.submit(bodyOf(work, option));
    return;
  }
  work.pending.value = { decision, confirmed };
  if (step.kind === "confirm") {
    work.pending.value = { decision, confirmed, asked: { question: step.question, at: performance.now() } };
    dim();
  }
  const asksReason =
    step.kind === "confirm" && step.question === "no_reason" && decision === "DECISION_REJECT";
  if (step.kind === "comment" || (asksReason && how === "key")) focus?.comment();
  if (step.kind === "problems") focus?.problems();
  if (step.kind === "edit") {
    work.isEditing.value = true;
    focus?.edit();
  }
}

function bodyOf(work: Work, option: DecisionOption): AnswerBody {
  const prompt = work.shown.peek();
  const decision = option.decision ?? "DECISION_UNSPECIFIED";
  const values = takesValues(decision) && hasForm(prompt) ? work.form.peek().values() : null;
  const originals = new Map(
    (prompt.content?.contents ?? []).map((part) => [part.contentId ?? "", part.text ?? ""]),
  );
  const edits = Object.entries(work.edits.peek())
    .filter(([contentId, text]) => originals.get(contentId) !== text)
    .map(([contentId, text]) => ({ contentId, text }));
  const comment = work.comment.peek().trim();
  return {
    promptId: work.promptId,
    ...contentOf(prompt),
    decision,
    ...(values !== null && "json" in values ? { valuesJson: values.json } : {}),
    ...(decision === "DECISION_EDIT" && edits.length > 0 ? { edits } : {}),
    ...(comment === "" ? {} : { comment }),
  };
}

/** What to press: none of the decisions is the one that a text is sent with. */
export function chooseText(work: Work): string {
  const names = decisionsOf(work.shown.peek()).map(nameOf);
  return t("answer.choose", { names: new Intl.ListFormat(locale(), { type: "disjunction" }).format(names) });
}

/** Ctrl+Enter in a text: the decision that waits for it, or the one that texts are for. */
export function send(page: Page, row: Row, work: Work, stamp: number): void {
  const options = decisionsOf(work.shown.peek());
  const wanted = work.pending.peek()?.decision ?? (work.isEdited ? "DECISION_EDIT" : "DECISION_RESPOND");
  const option = options.find((one) => one.decision === wanted);
  if (option === undefined) {
    // The focus stays in the text: on a button, the next Space would decide.
    if (hindrance(page, row, work) !== null) return;
    work.mustChoose.value = true;
    interrupt(chooseText(work));
    return;
  }
  decide(page, row, work, option, stamp, "key");
}
