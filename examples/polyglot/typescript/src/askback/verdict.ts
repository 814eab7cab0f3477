import { type Answer, AnswerSource, Decision, type Prompt, PromptState } from "../gen/askback/v1/prompt_pb.js";

/**
 * Whether people (or a default that was declared) said yes. True for an answer that accepts, with or without edits, and
 * false for everything else: no answer, the zero value, RESPOND, which gives values and authorises nothing, and
 * whatever a newer server may know.
 */
export function authorises(prompt: Prompt | undefined): boolean {
  const decision = answered(prompt)?.decision;
  return decision === Decision.ACCEPT || decision === Decision.EDIT;
}

/** The values of an answer as JSON text; undefined if the answer gives none. */
export function valuesOf(prompt: Prompt | undefined): string | undefined {
  const answer = answered(prompt);
  const gives = authorises(prompt) || answer?.decision === Decision.RESPOND;
  return gives ? answer?.valuesJson || undefined : undefined;
}

/** Whether nobody answered in time, so that the declared default was taken. */
export function byDefault(prompt: Prompt | undefined): boolean {
  return answered(prompt)?.source === AnswerSource.TIMEOUT_DEFAULT;
}

/** How the prompt ended, in a word: REJECT, EXPIRED, … A decision that this program does not know is a number. */
export function ending(prompt: Prompt): string {
  const answer = answered(prompt);
  if (answer) return Decision[answer.decision] ?? String(answer.decision);
  return PromptState[prompt.state] ?? String(prompt.state);
}

/** The answer that counts. */
function answered(prompt: Prompt | undefined): Answer | undefined {
  return prompt?.state === PromptState.ANSWERED ? prompt.resolution?.answer : undefined;
}
