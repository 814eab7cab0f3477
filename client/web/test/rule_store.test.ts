import assert from "node:assert/strict";
import { test } from "node:test";
import type { Inbox } from "../src/model/inbox";
import { deleteRule, learnRule, readRules, rulesOf } from "../src/view/rules/rule_store";
import type { ListRulesRequest, Rule } from "../src/wire/messages";

const on = (ruleId: string): Rule => ({ ruleId, state: "RULE_STATE_ACTIVE" });
const gone = (ruleId: string): Rule => ({ ruleId, state: "RULE_STATE_DELETED" });

/** An inbox of a service with these rules, which it lists two to a page, and the calls that it got. */
function serviceWith(rules: () => readonly Rule[]) {
  const calls: string[] = [];
  const call = async (method: string, body: ListRulesRequest & { readonly ruleId?: string }) => {
    calls.push(`${method} ${body.ruleId ?? ""}`.trim());
    if (method !== "PolicyService/ListRules") return {};
    const found = rules().filter((one) => body.includeDeleted || one.state !== "RULE_STATE_DELETED");
    const from = Number(body.pageToken || 0);
    return {
      rules: found.slice(from, from + 2),
      nextPageToken: from + 2 < found.length ? String(from + 2) : "",
    };
  };
  return { inbox: { call } as unknown as Inbox, calls };
}

const known = (inbox: Inbox) =>
  [...(rulesOf(inbox).value ?? [])].map(([id, { state }]) => `${id} ${state === "RULE_STATE_DELETED"}`);

test("all pages are read; a rule that was deleted elsewhere is not listed as if it were there", async () => {
  let stored = [on("a"), on("b"), on("c"), gone("d")];
  const { inbox } = serviceWith(() => stored);
  assert.equal(rulesOf(inbox).value, null);
  await readRules(inbox, false);
  assert.deepEqual(known(inbox), ["a false", "b false", "c false"]);
  stored = [on("a"), gone("b"), on("c"), gone("d")];
  await readRules(inbox, false);
  assert.deepEqual(known(inbox), ["a false", "c false"]);
  await readRules(inbox, true);
  assert.deepEqual(known(inbox).sort(), ["a false", "b true", "c false", "d true"]);
  await readRules(inbox, false);
  assert.equal(known(inbox).length, 4, "deleted ones stay: answers name them");
});

test("a rule is deleted by its id, and other inboxes know nothing of it", async () => {
  const { inbox, calls } = serviceWith(() => []);
  learnRule(inbox, on("a"));
  learnRule(inbox, on("b"));
  await deleteRule(inbox, on("b"));
  assert.deepEqual(calls, ["PolicyService/DeleteRule b"]);
  assert.deepEqual(known(inbox), ["a false", "b true"]);
  assert.equal(rulesOf(serviceWith(() => []).inbox).value, null);
});
