import assert from "node:assert/strict";
import { test } from "node:test";
import { canBeRule, type DraftTexts, finishDraft, LIFE_MS } from "../src/view/rules/draft";
import type { Answer, RuleSpec } from "../src/wire/messages";
import { NOW, prompt } from "./prompts_of_tests";

const DRAFT: RuleSpec = {
  name: "ACCEPT confirm of agent",
  reason: "suggested by answers of people",
  match: { kinds: ["confirm"], labels: { env: "test" }, expression: 'metadata["tool"] == "ls"' },
  answer: { decision: "DECISION_ACCEPT", valuesJson: '{"n":12345678901234567890}' },
  matching: [{ jobType: "agent" }],
  notMatching: [{ jobType: "not-agent" }],
};
const LATEST = new Date(NOW + LIFE_MS).toISOString();
const TEXTS: DraftTexts = { name: " ls ", reason: "it reads", unless: "", until: LATEST, maxUses: "" };

const finish = (texts: Partial<DraftTexts>, draft = DRAFT) =>
  finishDraft(draft, { ...TEXTS, ...texts }, LATEST, NOW);

const problemOf = (texts: Partial<DraftTexts>) => {
  const found = finish(texts);
  return "problem" in found ? found.problem.field : "";
};

test("a draft becomes a rule with the person's own reason, and ends when it was said to end", () => {
  const found = finish({ maxUses: " 20 " });
  assert.ok("spec" in found);
  const { match, answer, matching, notMatching } = DRAFT;
  assert.deepEqual(found.spec, {
    ...{ match, answer, matching, notMatching },
    ...{ name: "ls", reason: "it reads", unless: "", expireTime: LATEST, maxUses: "20" },
  });
});

test("the reason of the draft is not taken for that of the person", () => {
  assert.equal(problemOf({ reason: "  " }), "reason");
});

test("a rule only gets narrower: an exception is added to those of the draft, and the end comes no later", () => {
  const more = finish({ unless: "prompt.priority > 5" }, { ...DRAFT, unless: "a || b" });
  assert.equal("spec" in more ? more.spec.unless : "", "(a || b) || (prompt.priority > 5)");
  const none = finish({}, { ...DRAFT, unless: "a" });
  assert.equal("spec" in none ? none.spec.unless : "", "a");
  assert.equal(problemOf({ until: new Date(NOW + LIFE_MS + 60_000).toISOString() }), "until");
});

test("what is missing or cannot be is said at its field", () => {
  assert.equal(problemOf({ name: "" }), "name");
  assert.equal(problemOf({ until: undefined }), "until");
  assert.equal(problemOf({ until: new Date(NOW).toISOString() }), "until");
  for (const maxUses of ["0", "-1", "1.5", "1e3", "many", "1".repeat(10)])
    assert.equal(problemOf({ maxUses }), "uses", maxUses);
});

test("always so can be said of what a person decided and a rule may give", () => {
  const human: Answer = { source: "ANSWER_SOURCE_HUMAN", decision: "DECISION_ACCEPT" };
  const can = (change: Partial<Answer>, fields = {}) => canBeRule(prompt(1, fields), { ...human, ...change });
  assert.ok(can({}));
  assert.ok(can({ decision: "DECISION_REJECT", source: "ANSWER_SOURCE_OVERRIDE" }));
  assert.equal(can({ source: "ANSWER_SOURCE_RULE" }), false);
  assert.equal(can({ source: "ANSWER_SOURCE_TIMEOUT_DEFAULT" }), false);
  assert.equal(can({ decision: "DECISION_REVISE" }), false, "the job would ask in a loop");
  assert.equal(can({ edits: [{ contentId: "a", text: "b" }] }), false);
  assert.equal(can({}, { jobType: "askback.rules" }), false, "no rule is applied to these");
  assert.equal(canBeRule(prompt(1), undefined), false);
});
