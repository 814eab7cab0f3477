// Which of the chosen prompts a bulk decision is sent to, and why the others are left out.

import type { Row } from "../model/inbox";
import type { Session } from "../model/session";
import type { Decision, DecisionOption, Prompt, Resolution } from "../wire/messages";
import {
  authorises,
  decisionsOf,
  hasForm,
  isClaimedByOther,
  isFor,
  isOfNoGroup,
  isOpen,
  resolutionOf,
  showsSame,
  takesValues,
} from "./prompt_facts";

type LeftOut = "closed" | "changed" | "not_for" | "claimed" | "not_offered" | "form" | "comment";

export interface BulkRow {
  readonly shown: Prompt;
  /** The option that is sent; undefined: the prompt is left out. */
  readonly option?: DecisionOption;
  readonly leftOut?: LeftOut;
  /** How it ended, where it is left out because it is closed. */
  readonly resolution?: Resolution;
}

/** What becomes of one prompt. `shown` is what the table shows; `row` is the prompt as it is now. */
export function bulkRow(
  shown: Prompt,
  row: Row | undefined,
  decision: Decision | null,
  comment: string,
  person: Session,
  now: number,
): BulkRow {
  if (row === undefined) return { shown, leftOut: "closed" };
  if (!isOpen(row)) {
    const resolution = resolutionOf(row);
    return { shown, leftOut: "closed", ...(resolution === undefined ? {} : { resolution }) };
  }
  if (!showsSame(row.prompt, shown)) return { shown, leftOut: "changed" };
  if (!isFor(row.prompt, person)) return { shown, leftOut: "not_for" };
  if (isClaimedByOther(row.prompt, person.subject ?? "", now)) return { shown, leftOut: "claimed" };
  if (decision === null) return { shown };
  const option = decisionsOf(shown).find((one) => one.decision === decision);
  if (option === undefined) return { shown, leftOut: "not_offered" };
  if (authorises(decision) && isOfNoGroup(shown, person)) return { shown, leftOut: "not_for" };
  if (takesValues(decision) && hasForm(shown)) return { shown, leftOut: "form" };
  if (option.commentRequired === true && comment.trim() === "") return { shown, leftOut: "comment" };
  return { shown, option };
}

/** The decisions that can be made together, with how many of the prompts offer each. EDIT changes texts one by one. */
export function bulkDecisions(prompts: readonly Prompt[]): ReadonlyMap<Decision, number> {
  const counts = new Map<Decision, number>();
  for (const prompt of prompts) {
    for (const option of decisionsOf(prompt)) {
      const decision = option.decision ?? "DECISION_UNSPECIFIED";
      if (decision === "DECISION_EDIT" || (takesValues(decision) && hasForm(prompt))) continue;
      counts.set(decision, (counts.get(decision) ?? 0) + 1);
    }
  }
  return counts;
}
