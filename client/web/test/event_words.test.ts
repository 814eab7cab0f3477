import assert from "node:assert/strict";
import { test } from "node:test";
import { rulingOf, wordsOf } from "../src/view/event_words";
import type { JobEventType } from "../src/wire/messages";

const words = (type: string, data: object) =>
  wordsOf({ type: `JOB_EVENT_TYPE_${type}` as JobEventType, dataJson: JSON.stringify(data) });

test("a delegation is told by how and why it was made", () => {
  const by = { giver: "ana", user: "ben", cause: "PERSON" };
  assert.equal(words("PROMPT_DELEGATED", { ...by, mode: "TRANSFER" }).key, "event.prompt_delegated");
  assert.equal(words("PROMPT_DELEGATED", { ...by, mode: "ADD" }).key, "event.prompt_delegated.add");
  const absent = words("PROMPT_DELEGATED", { ...by, mode: "ADD", cause: "ABSENCE" });
  assert.equal(absent.key, "event.prompt_delegated.absence");
  assert.deepEqual([absent.names.giver, absent.names.target], ["ana", "ben"]);
  assert.equal(words("PROMPT_DELEGATED", { giver: "ana", group: "ops" }).names.target, "group ops");
  assert.equal(words("DELEGATION_ENDED", { why: "RETURNED" }).key, "event.delegation_ended.returned");
});

test("an answer on behalf of a person names that person", () => {
  const found = words("PROMPT_ANSWERED", { on_behalf_of: "ana" });
  assert.deepEqual([found.key, found.names.behalf], ["event.prompt_answered.behalf", "ana"]);
  assert.equal(words("PROMPT_ANSWERED", {}).key, "event.prompt_answered");
  assert.equal(words("SOMETHING_NEW", { on_behalf_of: "ana" }).key, "event.other");
});

test("data that cannot be read say nothing", () => {
  assert.equal(wordsOf({ type: "JOB_EVENT_TYPE_PROMPT_VOTED", dataJson: "{" }).key, "event.prompt_voted");
});

const ruling = (data: object) =>
  rulingOf({ type: "JOB_EVENT_TYPE_PROMPT_RULED", dataJson: JSON.stringify(data) });

test("an answer of a rule is told as one", () => {
  assert.equal(words("PROMPT_ANSWERED", { source: "RULE" }).key, "event.prompt_answered.rule");
  assert.equal(words("PROMPT_ANSWERED", { source: "HUMAN" }).key, "event.prompt_answered");
});

test("a ruling names the rules that did the one thing that matters, and what else happened", () => {
  const answered = { outcome: "ANSWER", matched: ["a@1", "b@2", "r@1"], routed: ["r@1"], errors: ["e@1"] };
  assert.equal(words("PROMPT_RULED", answered).key, "event.prompt_ruled.answer");
  assert.deepEqual(ruling({ ...answered, hindered: { "b@2": "its author is excluded" } }), {
    how: "answer",
    rules: ["a@1"],
    more: [
      { key: "event.ruled.routed", rules: ["r@1"] },
      { key: "event.ruled.errors", rules: ["e@1"] },
      { key: "event.ruled.hindered", rules: ["b@2"], why: "its author is excluded" },
    ],
  });
  const conflict = ruling({ outcome: "ASK", matched: ["a@1", "b@2"], conflict: "rules differ" });
  assert.deepEqual(
    [conflict.how, conflict.rules, conflict.more],
    ["", ["a@1", "b@2"], [{ key: "event.ruled.conflict", rules: [], why: "rules differ" }]],
  );
  assert.equal(
    words("PROMPT_RULED", { outcome: "REFUSE", matched: ["a@1"] }).key,
    "event.prompt_ruled.refuse",
  );
  assert.deepEqual(ruling({ outcome: "ASK", matched: ["r@1"], routed: ["r@1"] }), {
    how: "route",
    rules: ["r@1"],
    more: [],
  });
  assert.deepEqual(ruling({ outcome: "ASK", matched: [], errors: ["e@1"] }).how, "errors");
});

test("a ruling that says nothing, or something else than was agreed, breaks no page", () => {
  for (const data of [{}, { matched: "a", routed: [1], hindered: "x", errors: null }])
    assert.deepEqual(ruling(data).rules, []);
});
