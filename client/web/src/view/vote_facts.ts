// What the votes of a prompt come to: facts that the page shows, and words for them.

import type { Answer, Decision, GroupApproval, Prompt, Resolution, Vote, VoteCount } from "../wire/messages";
import { t } from "../words/later";
import { decidedWords } from "./labels";
import { oneLine } from "./one_line";
import { authorises, voteOf } from "./prompt_facts";

/** The votes that decide the same. */
export interface Outcome extends VoteCount {
  /** Those who voted for it; the first has its values and edits. */
  readonly voters: readonly Vote[];
  /** What they decide. */
  readonly proposal: Pick<Vote, "valuesJson" | "edits">;
}

/** The outcomes in the order of their first votes. */
export function outcomesOf({ votes = [], voteCounts = [] }: Prompt): readonly Outcome[] {
  const byOutcome = new Map<string, Vote[]>();
  for (const vote of votes) {
    const key = vote.outcome ?? "";
    byOutcome.set(key, [...(byOutcome.get(key) ?? []), vote]);
  }
  return [...byOutcome].flatMap(([outcome, voters]) => {
    const [first] = voters;
    if (first === undefined) return [];
    const { decision = "DECISION_UNSPECIFIED", valuesJson = "", edits = [] } = first;
    // A prompt that has closed since has no count of the vote that closed it.
    const count = voteCounts.find((one) => one.outcome === outcome) ?? { outcome, decision };
    return [{ ...count, votes: voters.length, voters, proposal: { valuesJson, edits } }];
  });
}

/** How near an approval is: of all that say yes, the outcome with the most votes counts. */
export interface Progress {
  readonly votes: number;
  readonly required: number;
  readonly missing: readonly GroupApproval[];
  /** How many different outcomes say yes: they do not count together. */
  readonly versions: number;
  readonly rejections: number;
  readonly rejectAt: number;
}

/** Undefined for a prompt that the first answer decides. */
export function progressOf(prompt: Prompt): Progress | undefined {
  const { approval } = prompt.content ?? {};
  if (approval === undefined) return undefined;
  const outcomes = outcomesOf(prompt);
  const yes = outcomes.filter((one) => authorises(one.decision));
  const best = yes.reduce<Outcome | undefined>(
    (most, one) => ((one.votes ?? 0) > (most?.votes ?? 0) ? one : most),
    undefined,
  );
  const no = outcomes.find((one) => one.decision === "DECISION_REJECT");
  return {
    votes: best?.votes ?? 0,
    required: approval.required ?? 1,
    missing: (best === undefined ? approval.perGroup : best.missing) ?? [],
    versions: yes.length,
    rejections: no?.votes ?? 0,
    rejectAt: approval.rejectAt ?? 1,
  };
}

/** How many people must still vote for an outcome, at least. */
export function stillNeeded(prompt: Prompt, { votes = 0, required = 0, missing = [] }: VoteCount): number {
  const places = missing.map((one) => one.required ?? 0);
  const isShared = prompt.content?.approval?.shared === true;
  const inGroups = isShared ? Math.max(0, ...places) : places.reduce((sum, one) => sum + one, 0);
  return Math.max(required - votes, inGroups);
}

/** The groups of which members are missing: "needs 1 of release, 2 of legal". Empty: none. */
export function missingText(missing: readonly GroupApproval[] = []): string {
  if (missing.length === 0) return "";
  const groups = missing.map((one) =>
    t("votes.of_group", { n: one.required ?? 0, group: oneLine(one.group ?? "", 100) }),
  );
  return t("votes.needs", { groups: groups.join(", ") });
}

/** Whether a decision takes the votes of several people. */
export function isJoint({ content }: Prompt, decision: Decision | undefined): boolean {
  const { required = 1, rejectAt = 1 } = content?.approval ?? {};
  return authorises(decision) ? required > 1 : decision === "DECISION_REJECT" && rejectAt > 1;
}

/** Whether an answer counts as a vote: that of a person, or of a rule in the place of one. */
export function isVote({ source }: Answer): boolean {
  return source === "ANSWER_SOURCE_HUMAN" || source === "ANSWER_SOURCE_RULE";
}

/** The votes that decided a closed prompt; undefined where it ended in another way. */
export function deciding(prompt: Prompt, resolution: Resolution | undefined): Outcome | undefined {
  const answer = resolution?.answer;
  if (answer === undefined || !isVote(answer)) return undefined;
  return outcomesOf(prompt).find((one) => one.voters.some((vote) => vote.answerId === answer.answerId));
}

/** What is said to a person after their vote: what it is, and what is missing. Empty: they have none. */
export function votedText(prompt: Prompt, subject: string): string {
  const mine = voteOf(prompt, subject);
  const outcome = outcomesOf(prompt).find((one) => one.outcome === mine?.outcome);
  if (outcome === undefined) return "";
  const needed = t("votes.more", { n: stillNeeded(prompt, outcome) });
  const groups = missingText(outcome.missing);
  const more = groups === "" ? needed : `${needed} (${groups})`;
  const key = (mine?.ruleId ?? "") === "" ? "verdict.voted" : "verdict.voted.rule";
  return t(key, { done: decidedWords(prompt, mine?.decision), more });
}
