// The rules of the namespace that the page has read, for each inbox.

import { type Signal, signal } from "@preact/signals";
import type { Inbox } from "../../model/inbox";
import type { Rule } from "../../wire/messages";

/** How many rules are read at once, and at most how often. */
const PAGE = 500;
const PAGES = 20;

type Known = ReadonlyMap<string, Rule>;

const stores = new WeakMap<Inbox, Signal<Known | null>>();

/** The rules by id, as they were read last. Null: none was read yet. */
export function rulesOf(inbox: Inbox): Signal<Known | null> {
  const found = stores.get(inbox) ?? signal<Known | null>(null);
  stores.set(inbox, found);
  return found;
}

/** Read all rules; deleted ones that were read before stay. Rejects with CallError. */
export async function readRules(inbox: Inbox, includeDeleted: boolean): Promise<void> {
  const found: Rule[] = [];
  let pageToken = "";
  for (let n = 0; n < PAGES; n += 1) {
    const reply = await inbox.call("PolicyService/ListRules", { includeDeleted, pageSize: PAGE, pageToken });
    found.push(...(reply.rules ?? []));
    pageToken = reply.nextPageToken ?? "";
    if (pageToken === "") break;
  }
  const store = rulesOf(inbox);
  const deleted = [...(store.peek()?.values() ?? [])].filter(isDeleted);
  store.value = new Map([...deleted, ...found].map((rule) => [rule.ruleId ?? "", rule]));
}

/** Take a rule that was created or changed in this page. */
export function learnRule(inbox: Inbox, rule: Rule | undefined): void {
  if (rule === undefined) return;
  const store = rulesOf(inbox);
  store.value = new Map([...(store.peek() ?? []), [rule.ruleId ?? "", rule]]);
}

/** Delete a rule at once. Rejects with CallError. */
export async function deleteRule(inbox: Inbox, rule: Rule): Promise<void> {
  await inbox.call("PolicyService/DeleteRule", {
    namespace: rule.namespace ?? "",
    ruleId: rule.ruleId ?? "",
  });
  learnRule(inbox, { ...rule, state: "RULE_STATE_DELETED" });
}

export function isDeleted(rule: Rule): boolean {
  return rule.state === "RULE_STATE_DELETED";
}
