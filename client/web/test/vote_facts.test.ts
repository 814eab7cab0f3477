import assert from "node:assert/strict";
import { test } from "node:test";
import { isExcluded, isFor, isOfNoGroup, waitsFor } from "../src/view/prompt_facts";
import { deciding, outcomesOf, progressOf, stillNeeded, votedText } from "../src/view/vote_facts";
import type { Approval, Prompt, Vote, VoteCount } from "../src/wire/messages";
import { prompt } from "./prompts_of_tests";

const NO = { decision: "DECISION_REJECT" } as const;
const RELEASE = [{ group: "release", required: 1 }];
const ana = { signedIn: true, subject: "ana", groups: ["dev"] };

const vote = (userId: string, outcome = "yes", fields: Partial<Vote> = {}): Vote => ({
  answerId: `of ${userId}`,
  userId,
  decision: "DECISION_ACCEPT",
  outcome,
  ...fields,
});

const count = (outcome: string, votes: number, fields: Partial<VoteCount> = {}): VoteCount => ({
  outcome,
  decision: "DECISION_ACCEPT",
  votes,
  required: 2,
  missing: [],
  ...fields,
});

function voted(votes: readonly Vote[], voteCounts: readonly VoteCount[], approval: Approval = {}): Prompt {
  const full = { required: 2, rejectAt: 1, perGroup: RELEASE, ...approval };
  return prompt(1, { votes, voteCounts }, { approval: full });
}

test("the progress is that of the version with the most votes", () => {
  assert.equal(progressOf(prompt(1)), undefined);
  const none = progressOf(voted([], []));
  assert.deepEqual([none?.votes, none?.required, none?.missing], [0, 2, RELEASE]);
  const edit = { decision: "DECISION_EDIT" } as const;
  const split = voted(
    [vote("ana"), vote("ben", "other", edit), vote("cy", "other", edit), vote("eve", "no", NO)],
    [count("yes", 1, { missing: RELEASE }), count("other", 2, edit), count("no", 1, NO)],
    { rejectAt: 2 },
  );
  const found = progressOf(split);
  assert.deepEqual([found?.votes, found?.versions, found?.missing], [2, 2, []]);
  assert.deepEqual([found?.rejections, found?.rejectAt], [1, 2]);
});

test("what a vote still needs is people in all, or of groups", () => {
  const needed = (votes: number, fields: Partial<VoteCount>, approval: Approval = {}) =>
    stillNeeded(voted([], [], approval), count("yes", votes, fields));
  assert.equal(needed(1, {}), 1);
  assert.equal(needed(2, { missing: RELEASE }), 1, "enough people, and none of the group");
  const both = { missing: [...RELEASE, { group: "law", required: 2 }] };
  assert.equal(needed(2, both), 3);
  assert.equal(needed(2, both, { shared: true }), 2);
});

test("a person is told what their own vote still needs", () => {
  const found = voted([vote("ana")], [count("yes", 1, { missing: RELEASE })]);
  assert.match(votedText(found, "ana"), /1 more person must vote for it \(needs 1 of release\)/);
  assert.equal(votedText(found, "ben"), "");
});

test("a vote that a rule gave for its author is said to be one", () => {
  const found = voted([vote("ana", "yes", { ruleId: "r", ruleRevision: "1" })], [count("yes", 1)]);
  assert.match(votedText(found, "ana"), /your rule voted “Approve” for you/);
});

test("values and edits of an outcome are those of its first vote", () => {
  const edits = [{ contentId: "plan", text: "two" }];
  const first = vote("ana", "other", { decision: "DECISION_EDIT", edits });
  const [found] = outcomesOf(voted([first, vote("ben", "other")], [count("other", 2)]));
  assert.deepEqual(found?.proposal.edits, edits);
  assert.deepEqual(
    found?.voters.map((one) => one.userId),
    ["ana", "ben"],
  );
});

test("the outcome that decided is the one of the last vote; an override has none", () => {
  const found = voted([vote("ana"), vote("ben", "no", NO)], [count("yes", 1), count("no", 1, NO)]);
  const answer = { answerId: "of ben", source: "ANSWER_SOURCE_HUMAN" } as const;
  assert.equal(deciding(found, { answer })?.outcome, "no");
  assert.equal(deciding(found, { answer: { ...answer, source: "ANSWER_SOURCE_RULE" } })?.outcome, "no");
  assert.equal(deciding(found, { answer: { ...answer, source: "ANSWER_SOURCE_OVERRIDE" } }), undefined);
  assert.equal(deciding(found, { answer: { ...answer, answerId: "unknown" } }), undefined);
});

test("an excluded person may not answer, whatever the role", () => {
  const byName = prompt(1, {}, { exclude: { users: ["ana"] } });
  const byGroup = prompt(1, {}, { exclude: { groups: ["dev"] } });
  for (const one of [byName, byGroup]) {
    assert.equal(isExcluded(one, ana), true);
    assert.equal(isFor(one, { ...ana, admin: true }), false);
    assert.equal(isFor(one, { ...ana, subject: "ben", groups: [] }), true);
  }
});

test("an admin votes only where it is asked, and answers other prompts", () => {
  const root = { signedIn: true, subject: "root", admin: true };
  const audience = { groups: ["dev"] };
  assert.equal(isFor(prompt(1, {}, { audience }), root), true);
  assert.equal(isFor(prompt(1, {}, { audience, approval: { required: 2 } }), root), false);
  assert.equal(isFor(prompt(1, {}, { approval: { required: 2 } }), root), true);
});

test("a prompt does not wait for a person that has voted", () => {
  assert.equal(waitsFor(voted([vote("ben")], []), ana), true);
  assert.equal(waitsFor(voted([vote("ana")], []), ana), false);
});

test("a yes counts for nothing where all places belong to other groups", () => {
  const none = (approval: Approval, groups: readonly string[] = ["dev"]) =>
    isOfNoGroup(prompt(1, {}, { approval }), { groups });
  assert.equal(none({ required: 1, perGroup: RELEASE }), true);
  assert.equal(none({ required: 1, perGroup: RELEASE }, ["release"]), false);
  assert.equal(none({ required: 2, perGroup: RELEASE }), false, "a free place");
  const two = [...RELEASE, { group: "law", required: 1 }];
  assert.equal(none({ required: 2, perGroup: two }), true);
  assert.equal(none({ required: 2, perGroup: two, shared: true }), false, "one person may fill both");
  assert.equal(none({ required: 2 }), false);
});

test("a prompt waits for a delegate, and no more for who has given it away or has an answer by its right", () => {
  const ben = { ...ana, subject: "ben", groups: [] };
  const asked = { audience: { users: ["ana"] }, approval: { required: 2 } };
  const given = { holder: "ana", giver: "ana", user: "ben" };
  const moved = prompt(1, { delegations: [{ ...given, transferred: true }] }, asked);
  assert.deepEqual([waitsFor(moved, ana), waitsFor(moved, ben)], [false, true]);
  const added = prompt(1, { delegations: [given] }, asked);
  assert.deepEqual([waitsFor(added, ana), waitsFor(added, ben)], [true, true]);
  const answered = { ...added, votes: [vote("ben", "yes", { onBehalfOf: "ana" })] };
  assert.deepEqual([waitsFor(answered, ana), waitsFor(answered, ben)], [false, false]);
  assert.equal(isFor(answered, ana), true, "the holder may replace the answer of its delegate");
});
