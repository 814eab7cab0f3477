import assert from "node:assert/strict";
import { test } from "node:test";
import { conflictCount } from "../src/view/rules/preview";
import { stateWords, thenText, usesText, whenText } from "../src/view/rules/rule_words";
import { readSpec } from "../src/view/rules/spec_text";
import type { RuleState } from "../src/wire/messages";

test("what a rule is for is said with all its conditions", () => {
  const match = { jobTypes: ["agent", "askback.ask"], kinds: ["confirm"], labels: { env: "test" } };
  assert.equal(
    whenText({ match: { ...match, expression: " metadata.n < 5 " }, unless: "prompt.priority > 5" }),
    "agent, single question (askback.ask) · Confirmation · env: test · metadata.n < 5 · except when prompt.priority > 5",
  );
  assert.equal(whenText({ match: { kinds: ["own"] } }), "own");
});

test("what a rule does is said for each effect", () => {
  assert.equal(thenText({ answer: { decision: "DECISION_RESPOND" } }), "Answers “Answer”");
  assert.equal(
    thenText({ answer: { decision: "DECISION_ACCEPT" } }, "Go (ship it)"),
    "Answers “Go (ship it)”",
  );
  assert.equal(thenText({ refuse: { comment: "no" } }), "Rejects");
  assert.equal(thenText({ ask: {} }), "Asks people, whatever other rules would answer");
  const approval = { perGroup: [{ group: "law", required: 2 }], rejectAt: 2, rulesMayFill: 1 };
  assert.equal(
    thenText({ route: { audience: { groups: ["law"] }, approval, priority: 0, timeout: "3600s" } }),
    "Asks only group law; 2 people must approve, needs 2 of law, 2 must reject, 1 of them may be a rule’s; " +
      "The priority is 0 at least; 1 h to answer at most",
  );
  assert.equal(thenText({}), "Something that this page does not know");
});

test("each state has words, also one of a newer service", () => {
  const words = (state: string) => stateWords({ state: state as RuleState });
  assert.equal(words("RULE_STATE_USED_UP"), "Used up");
  assert.equal(words("RULE_STATE_NEWER"), "In a state that this page does not know");
});

test("uses are counted against the limit, if there is one", () => {
  assert.equal(usesText({ uses: "1", spec: {} }), "1 use");
  assert.equal(usesText({ uses: "1200", spec: { maxUses: "2000" } }), "1,200 of 2,000 uses");
});

test("conflicts are counted in the matrix, because their list may be cut", () => {
  const cells = [
    { rule: "RULE_VERDICT_ANSWER", people: "PEOPLE_VERDICT_REJECT", count: 300 },
    { rule: "RULE_VERDICT_REFUSE", people: "PEOPLE_VERDICT_REJECT", count: 5 },
    { rule: "RULE_VERDICT_ANSWER", people: "PEOPLE_VERDICT_ACCEPT", count: 7 },
  ] as const;
  assert.equal(conflictCount({ cells, conflicts: [{}] }), 300);
});

test("the text of a rule must be a JSON object", () => {
  assert.deepEqual(readSpec(' {"name": "a"} '), { spec: { name: "a" } });
  for (const text of ["", "{", "[]", "null", '"a"']) assert.ok("problem" in readSpec(text), text);
});
