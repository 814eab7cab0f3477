// Facts about a prompt that several parts of the page need. Times are milliseconds of the server's clock.

import type { Row } from "../model/inbox";
import type { Decision, DecisionOption, Prompt, PromptPart, Resolution, Vote } from "../wire/messages";
import { includes, isForAll, type Person, rightOf } from "./rights";

/** The time of a timestamp in milliseconds; undefined where it is not set. */
export function instant(stamp: string | undefined): number | undefined {
  if (stamp === undefined) return undefined;
  const found = Date.parse(stamp);
  return Number.isNaN(found) ? undefined : found;
}

/** A duration such as `3.5s` in milliseconds; undefined where it is not set. */
export function milliseconds(duration: string | undefined): number | undefined {
  if (duration === undefined) return undefined;
  const found = Number.parseFloat(duration);
  return Number.isNaN(found) ? undefined : found * 1000;
}

export function idOf(prompt: Prompt): string {
  return prompt.promptId ?? "";
}

export function revisionOf(prompt: Prompt): number {
  return prompt.revision ?? 0;
}

/** What an answer to this content is about: the revision and the digest of what is painted. */
export function contentOf(shown: Prompt): { readonly revision: number; readonly shownDigest?: string } {
  const { shownDigest = "" } = shown;
  return { revision: revisionOf(shown), ...(shownDigest === "" ? {} : { shownDigest }) };
}

/**
 * Whether people see the same in two messages of one prompt. After a restore of the database the number of a revision
 * may be given again, so the digests are compared too where both messages have one.
 */
export function showsSame(one: Prompt, other: Prompt): boolean {
  const { shownDigest: left = "" } = one;
  const { shownDigest: right = "" } = other;
  return revisionOf(one) === revisionOf(other) && (left === right || left === "" || right === "");
}

export function priorityOf(prompt: Prompt): number {
  return prompt.content?.priority ?? 0;
}

/** The job type of a question that a program asks without a job around it. */
const SINGLE_QUESTION = "askback.ask";
/** The subject of a caller who gave no name. */
const NO_NAME = "anonymous";

/** Whether a job type was chosen by people, so that it says something to others. */
export function saysMore(jobType: string | undefined): boolean {
  return jobType !== undefined && jobType !== "" && jobType !== SINGLE_QUESTION;
}

/** The person for whom a question is asked; empty where that is not known. */
export function requesterOf({ requestedBy = "" }: Prompt): string {
  return requestedBy === NO_NAME ? "" : requestedBy;
}

/** Whether people may still answer. A state that this page does not know counts as closed. */
export function isOpen(row: Row): boolean {
  return row.closed === undefined && row.removed !== true && row.prompt.state === "PROMPT_STATE_PENDING";
}

/** How a closed prompt ended, as far as it is known. */
export function resolutionOf(row: Row): Resolution | undefined {
  return row.closed?.resolution ?? row.prompt.resolution;
}

/** When a closed prompt ended. */
export function endOf(row: Row): number | undefined {
  return instant(resolutionOf(row)?.time) ?? row.closed?.at;
}

/** The person who has the prompt claimed at a time; empty without a claim. */
export function claimant(prompt: Prompt, at: number): string {
  const until = instant(prompt.claimExpireTime);
  return until === undefined || until > at ? (prompt.claimedBy ?? "") : "";
}

/** Whether another person has the prompt claimed at a time, so that the service takes no answer of this one. */
export function isClaimedByOther(prompt: Prompt, subject: string, at: number): boolean {
  const holder = claimant(prompt, at);
  return holder !== "" && holder !== subject;
}

/** Whether a prompt is a person's own: claimed by them, or asked of them or delegated to them by name. */
export function isMine(prompt: Prompt, subject: string, at: number): boolean {
  if (subject === "") return false;
  return (
    claimant(prompt, at) === subject || (!isForAll(prompt) && rightOf(prompt, { subject }) !== undefined)
  );
}

/** Whether the prompt excludes a person from answering it, whatever their role. */
export function isExcluded(prompt: Prompt, person: Person): boolean {
  return includes(prompt.content?.exclude ?? {}, person);
}

/** The vote of a person on a prompt with an approval. */
export function voteOf({ votes = [] }: Prompt, subject: string): Vote | undefined {
  return votes.find((one) => one.userId === subject);
}

/** Whether a decision says yes to something. */
export function authorises(decision: Decision | undefined): boolean {
  return decision === "DECISION_ACCEPT" || decision === "DECISION_EDIT";
}

/** Whether the approval needs people of groups only, and this person is in none of them: a yes would not count. */
export function isOfNoGroup({ content }: Prompt, { groups = [] }: Person): boolean {
  const { required = 0, perGroup = [], shared = false } = content?.approval ?? {};
  const counts = perGroup.map((one) => one.required ?? 0);
  const least = shared ? Math.max(0, ...counts) : counts.reduce((sum, one) => sum + one, 0);
  return counts.length > 0 && required <= least && !perGroup.some((one) => groups.includes(one.group ?? ""));
}

/** Whether a question was answered before, with an answer that its job did not accept. */
export function isAskedAgain(prompt: Prompt): boolean {
  return prompt.content?.correction !== undefined;
}

/** Whether a question asks another one again. */
export function corrects(prompt: Prompt, earlier: Prompt): boolean {
  const { correction } = prompt.content ?? {};
  return correction !== undefined && prompt.jobId === earlier.jobId && correction.key === earlier.key;
}

/**
 * Whether the service takes an answer of this person: an admin may answer what is asked of others too, but not vote on
 * it.
 */
export function isFor(prompt: Prompt, person: Person): boolean {
  if (isExcluded(prompt, person)) return false;
  return (
    (person.admin === true && prompt.content?.approval === undefined) || rightOf(prompt, person) !== undefined
  );
}

/** Whether a person was asked and has not answered yet, nor another one by the same right. */
export function waitsFor(prompt: Prompt, person: Person): boolean {
  const right = rightOf(prompt, person);
  return (
    right !== undefined &&
    !isExcluded(prompt, person) &&
    !(prompt.votes ?? []).some(
      ({ userId = "", onBehalfOf = "" }) =>
        userId === person.subject || (onBehalfOf || userId) === right.holder,
    )
  );
}

/**
 * What may be decided, in the order of the asker. Left out are decisions that this page does not know, and changes where
 * nothing can be changed: the service refuses such an answer.
 */
export function decisionsOf(prompt: Prompt): readonly DecisionOption[] {
  return (prompt.content?.decisions ?? []).filter(
    ({ decision }) =>
      decision !== undefined &&
      isDecision(decision) &&
      (decision !== "DECISION_EDIT" || hasForm(prompt) || (prompt.content?.contents ?? []).some(isEditable)),
  );
}

/** Whether people may change a text. */
export function isEditable(part: PromptPart): boolean {
  return part.editable === true && part.text !== undefined;
}

const DECISIONS: ReadonlySet<string> = new Set<Decision>([
  "DECISION_ACCEPT",
  "DECISION_EDIT",
  "DECISION_RESPOND",
  "DECISION_REVISE",
  "DECISION_REJECT",
  "DECISION_DISMISS",
]);

export function isDecision(decision: string): decision is Decision {
  return DECISIONS.has(decision);
}

/** Whether a decision takes the values of the form. */
export function takesValues(decision: Decision): boolean {
  return decision === "DECISION_ACCEPT" || decision === "DECISION_EDIT" || decision === "DECISION_RESPOND";
}

export function hasForm(prompt: Prompt): boolean {
  const content = prompt.content;
  return content?.questions !== undefined || (content?.schemaJson ?? "") !== "";
}

/** How soon a deadline is, for colours and words. */
type Urgency = "none" | "later" | "soon" | "now" | "over";

const SOON_MS = 60 * 60_000;
const NOW_MS = 5 * 60_000;

export function urgency(deadline: number | undefined, at: number): Urgency {
  if (deadline === undefined) return "none";
  const left = deadline - at;
  if (left <= 0) return "over";
  if (left <= NOW_MS) return "now";
  return left <= SOON_MS ? "soon" : "later";
}

/** Whether a prompt ends within minutes: it comes before every other one, whatever its priority. */
export function endsSoon(deadline: number | undefined, at: number): boolean {
  const how = urgency(deadline, at);
  return how === "now" || how === "over";
}

/** Whether a new prompt is announced as urgent: it is due within the hour, or its asker raised its priority. */
export function isUrgent(prompt: Prompt, at: number): boolean {
  const how = urgency(instant(prompt.expireTime), at);
  return priorityOf(prompt) > 0 || how === "soon" || how === "now";
}
