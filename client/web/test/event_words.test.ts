import assert from "node:assert/strict";
import { test } from "node:test";
import { wordsOf } from "../src/view/event_words";
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
