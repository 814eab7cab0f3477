// A draft of a rule, and what a person may change of it: its name, and what makes it narrower. Pure functions.

import type { Answer, Prompt, RuleSpec } from "../../wire/messages";
import type { LaterKey } from "../../words";
import { instant } from "../prompt_facts";

/** How long a rule lasts, unless it is to end sooner: as the service has it where nothing is said. */
export const LIFE_MS = 30 * 24 * 60 * 60_000;
/** The type of the jobs that ask about rules: no rule is applied to them. */
const APPROVALS = "askback.rules";

const GIVEN: readonly (string | undefined)[] = [
  "DECISION_ACCEPT",
  "DECISION_EDIT",
  "DECISION_RESPOND",
  "DECISION_DISMISS",
  "DECISION_REJECT",
];

/** Whether "always so" can be said of an answer: a person gave it, and a rule could. */
export function canBeRule(prompt: Prompt, answer: Answer | undefined): boolean {
  const { source, decision, edits = [] } = answer ?? {};
  return (
    source !== undefined &&
    source !== "ANSWER_SOURCE_RULE" &&
    source !== "ANSWER_SOURCE_TIMEOUT_DEFAULT" &&
    GIVEN.includes(decision) &&
    edits.length === 0 &&
    prompt.jobType !== APPROVALS
  );
}

/** What the person has written. */
export interface DraftTexts {
  readonly name: string;
  readonly reason: string;
  /** A further condition under which the rule does not match. */
  readonly unless: string;
  /** The time of the end; undefined: none was chosen. */
  readonly until: string | undefined;
  readonly maxUses: string;
}

/** A field that is wrong, and what is said at it. */
export interface DraftProblem {
  readonly field: "name" | "reason" | "until" | "uses";
  readonly key: LaterKey;
}

const USES = /^[1-9]\d{0,8}$/;

/** The rule that is created, or the first thing that is wrong. `latest` is when it ends at the latest, `now` the time. */
export function finishDraft(
  draft: RuleSpec,
  texts: DraftTexts,
  latest: string,
  now: number,
): { readonly spec: RuleSpec } | { readonly problem: DraftProblem } {
  const [name, reason, uses] = [texts.name.trim(), texts.reason.trim(), texts.maxUses.trim()];
  const end = instant(texts.until);
  const wrong = (field: DraftProblem["field"], key: LaterKey) => ({ problem: { field, key } });
  if (name === "") return wrong("name", "draft.need.name");
  if (reason === "") return wrong("reason", "draft.need.reason");
  if (end === undefined || end <= now) return wrong("until", "draft.need.until");
  if (end > (instant(latest) ?? 0)) return wrong("until", "draft.need.sooner");
  if (uses !== "" && !USES.test(uses)) return wrong("uses", "draft.need.uses");
  return {
    spec: {
      ...narrowed(draft, texts.unless),
      name,
      reason,
      expireTime: texts.until ?? "",
      maxUses: uses === "" ? "0" : uses,
    },
  };
}

/** The draft with a further exception; it takes no other one away. */
export function narrowed(draft: RuleSpec, unless: string): RuleSpec {
  const [own, more] = [(draft.unless ?? "").trim(), unless.trim()];
  return { ...draft, unless: own === "" || more === "" ? own || more : `(${own}) || (${more})` };
}
