import { type Answer, AnswerSource, Decision, type Prompt, PromptState } from "../gen/askback/v1/prompt_pb.js";

/**
 * Whether people, or a declared default, said yes. True for ACCEPT and EDIT, and false for everything else: no answer,
 * the zero value, RESPOND, which gives values but authorises nothing, and decisions of a newer server.
 */
export function authorises(prompt: Prompt | undefined): boolean {
  const decision = answered(prompt)?.decision;
  return decision === Decision.ACCEPT || decision === Decision.EDIT;
}

/** The values of an answer as JSON text; undefined if there are none. */
export function valuesOf(prompt: Prompt | undefined): string | undefined {
  const answer = answered(prompt);
  const gives = authorises(prompt) || answer?.decision === Decision.RESPOND;
  return gives ? answer?.valuesJson || undefined : undefined;
}

/** Whether the declared default was taken because no answer came in time. */
export function byDefault(prompt: Prompt | undefined): boolean {
  return answered(prompt)?.source === AnswerSource.TIMEOUT_DEFAULT;
}

/** How the prompt ended, in a word: REJECT, EXPIRED, … An unknown decision is a number. */
export function ending(prompt: Prompt): string {
  const answer = answered(prompt);
  if (answer) return Decision[answer.decision] ?? String(answer.decision);
  return PromptState[prompt.state] ?? String(prompt.state);
}

/** The answer that resolved the prompt. */
function answered(prompt: Prompt | undefined): Answer | undefined {
  return prompt?.state === PromptState.ANSWERED ? prompt.resolution?.answer : undefined;
}
