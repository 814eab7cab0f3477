import type { Row } from "../src/model/inbox";
import type { Decision, DecisionOption, Prompt, PromptContent } from "../src/wire/messages";

/** The server's time in these tests. */
export const NOW = Date.parse("2026-11-29T12:00:00Z");

export const at = (minutes: number): string => new Date(NOW + minutes * 60_000).toISOString();

export const offer = (decision: Decision, more: Partial<DecisionOption> = {}): DecisionOption => ({
  decision,
  label: "",
  ...more,
});

/** An open prompt that was asked `n` minutes ago. */
export function prompt(
  n: number,
  fields: Partial<Prompt> = {},
  content: Partial<PromptContent> = {},
): Prompt {
  return {
    promptId: `p${n}`,
    jobId: `j${n}`,
    jobType: "refund",
    revision: 1,
    version: "1",
    state: "PROMPT_STATE_PENDING",
    createTime: at(-n),
    ...fields,
    content: {
      kind: "confirm",
      title: `Question ${n}`,
      decisions: [offer("DECISION_ACCEPT"), offer("DECISION_REJECT")],
      ...content,
    },
  };
}

export const row = (found: Prompt, more: Partial<Row> = {}): Row => ({
  prompt: found,
  arrivedAt: 0,
  ...more,
});
