// What a press of a decision does: send, or ask for something first. Pure rules; the answer bar carries them out.

import type { Decision } from "../wire/messages";
import { takesValues } from "./prompt_facts";

/** What is on the screen when a decision is pressed. */
export interface Situation {
  readonly comment: string;
  readonly commentRequired: boolean;
  /** The form has missing or wrong values. */
  readonly hasProblems: boolean;
  /** Texts were edited, or values differ from the proposed ones. */
  readonly isChanged: boolean;
  /** Editable texts were edited. */
  readonly isEdited: boolean;
  /** Not everything was scrolled into view. */
  readonly hasUnseen: boolean;
  /** The questions that this person has confirmed by pressing the same decision again. */
  readonly confirmed: ReadonlySet<Question>;
}

/** What is asked before a decision is sent. A second press of the same decision says yes. */
export type Question = "no_reason" | "unseen" | "edits_dropped";

type Step =
  | { readonly kind: "send" }
  | { readonly kind: "problems" }
  | { readonly kind: "comment" }
  | { readonly kind: "edit" }
  | { readonly kind: "confirm"; readonly question: Question };

/** Whether a decision says no, for which others want to know the reason. */
export function isRefusal(decision: Decision | undefined): boolean {
  return decision === "DECISION_REJECT" || decision === "DECISION_DISMISS";
}

/** The next step of a decision. */
export function stepOf(decision: Decision, now: Situation): Step {
  const hasComment = now.comment.trim() !== "";
  const asks = (question: Question) => !now.confirmed.has(question);
  if (takesValues(decision) && now.hasProblems) return { kind: "problems" };
  if (now.commentRequired && !hasComment) return { kind: "comment" };
  if (decision === "DECISION_EDIT" && !now.isChanged) return { kind: "edit" };
  if (decision !== "DECISION_EDIT" && takesValues(decision) && now.isEdited && asks("edits_dropped")) {
    return { kind: "confirm", question: "edits_dropped" };
  }
  if (isRefusal(decision) && !hasComment && asks("no_reason"))
    return { kind: "confirm", question: "no_reason" };
  if (takesValues(decision) && now.hasUnseen && asks("unseen"))
    return { kind: "confirm", question: "unseen" };
  return { kind: "send" };
}

/** Why no decision can be made now, the most important reason first; null: one can. */
export type Hindrance =
  | "sending"
  | "closed"
  | "changed"
  | "excluded"
  | "signed_out"
  | "offline"
  | "not_for"
  | "claimed"
  | "chosen";

export interface Gate {
  readonly isSending: boolean;
  readonly isOpen: boolean;
  /** A newer revision than the painted one is there. */
  readonly isChanged: boolean;
  /** The prompt excludes the person. */
  readonly isExcluded: boolean;
  readonly isSignedOut: boolean;
  readonly canDecide: boolean;
  /** The person is of its audience. */
  readonly isFor: boolean;
  readonly isClaimedByOther: boolean;
  /** Rows of the list are chosen for a joint decision: one for the open prompt could be taken for it. */
  readonly hasChosen: boolean;
}

export function hindranceOf(gate: Gate): Hindrance | null {
  if (gate.isSending) return "sending";
  if (!gate.isOpen) return "closed";
  if (gate.isChanged) return "changed";
  if (gate.isExcluded) return "excluded";
  if (gate.isSignedOut) return "signed_out";
  if (!gate.canDecide) return "offline";
  if (!gate.isFor) return "not_for";
  if (gate.isClaimedByOther) return "claimed";
  return gate.hasChosen ? "chosen" : null;
}

/** Labels that need no explanation, as in the terminal: the usual words for each decision, in English. */
const USUAL: Record<Decision, readonly string[]> = {
  DECISION_UNSPECIFIED: [],
  DECISION_ACCEPT: ["accept", "approve", "confirm", "proceed", "use the suggestion", "yes"],
  DECISION_EDIT: ["accept with changes", "approve with changes", "correct it", "edit"],
  DECISION_RESPOND: ["answer", "respond"],
  DECISION_REVISE: ["ask for changes", "revise"],
  DECISION_REJECT: ["reject", "no"],
  DECISION_DISMISS: ["dismiss"],
};

/** Whether an asker's label says by itself which decision it is. Another one is shown behind the verb. */
export function isUsualLabel(decision: Decision, label: string): boolean {
  return USUAL[decision].includes(label.trim().toLocaleLowerCase("en"));
}
