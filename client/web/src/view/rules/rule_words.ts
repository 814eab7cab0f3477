// What rules say, in words.

import type { Approval, PeopleVerdict, Rule, RuleRoute, RuleSpec, RuleVerdict } from "../../wire/messages";
import type { LaterKey } from "../../words";
import { isKey, t } from "../../words/later";
import { namesOf } from "../audience";
import { kindWords, typeWords, verbOf } from "../labels";
import { milliseconds, saysMore } from "../prompt_facts";
import { span } from "../times";
import { missingText } from "../vote_facts";

/** What the newest revision says, active or not. */
export function newestSpec(rule: Rule): RuleSpec {
  return rule.proposed ?? rule.spec ?? {};
}

/** What the rule says now: of one that was never active, what is proposed. */
export function shownSpec(rule: Rule): RuleSpec {
  return rule.spec ?? rule.proposed ?? {};
}

/** What a rule does now. */
export function stateWords(rule: Rule): string {
  const key: string = `rules.state.${(rule.state ?? "").replace("RULE_STATE_", "").toLowerCase()}`;
  return isKey(key) ? t(key) : t("rules.state.unknown");
}

/** "3 of 100 uses". */
export function usesText(rule: Rule): string {
  const { uses = "0" } = rule;
  const { maxUses = "0" } = shownSpec(rule);
  const n = Number(uses);
  return maxUses === "0" ? t("rules.uses", { n }) : t("rules.uses.of", { n, all: Number(maxUses) });
}

/** What it does with the prompts that it matches, in one line. `done` is its decision as a button named it. */
export function thenText({ answer, refuse, ask, route }: RuleSpec, done?: string): string {
  if (answer !== undefined)
    return t("rules.then.answer", { done: done ?? verbOf(answer.decision ?? "DECISION_UNSPECIFIED") });
  if (refuse !== undefined) return t("rules.then.refuse");
  if (ask !== undefined) return t("rules.then.ask");
  return route === undefined ? t("rules.then.unknown") : routeTexts(route).join("; ");
}

/** What a route changes, each in a sentence. */
export function routeTexts({ audience, approval, priority, timeout }: RuleRoute): readonly string[] {
  const time = milliseconds(timeout);
  return [
    ...(audience === undefined ? [] : [t("rules.route.audience", { names: namesOf(audience) })]),
    ...(approval === undefined ? [] : [approvalText(approval)]),
    ...(priority === undefined ? [] : [t("rules.route.priority", { n: priority })]),
    ...(time === undefined ? [] : [t("rules.route.timeout", { span: span(time) })]),
  ];
}

function approvalText({ required = 0, perGroup = [], rejectAt = 0, rulesMayFill = 0 }: Approval): string {
  const inGroups = perGroup.reduce((sum, one) => sum + (one.required ?? 0), 0);
  const n = required || inGroups || 1;
  return [
    t("rules.route.approval", { n }),
    missingText(perGroup),
    rejectAt > 1 ? t("rules.route.reject_at", { n: rejectAt }) : "",
    rulesMayFill > 0 ? t("votes.may_fill", { n: rulesMayFill }) : "",
  ]
    .filter((part) => part !== "")
    .join(", ");
}

/** The type of a job; that of a question without a job is a name too. */
export function typeName(jobType: string): string {
  return saysMore(jobType) ? jobType : `${typeWords(jobType)} (${jobType})`;
}

/** Which prompts a rule is for, in one line. */
export function whenText({ match = {}, unless = "" }: RuleSpec): string {
  const { jobTypes = [], kinds = [], labels = {}, expression = "" } = match;
  return [
    jobTypes.map(typeName).join(", "),
    kinds.map(kindWords).join(", "),
    ...Object.entries(labels).map(([name, value]) => `${name}: ${value}`),
    expression.trim(),
    unless.trim() === "" ? "" : t("rules.unless.text", { text: unless.trim() }),
  ]
    .filter((part) => part !== "")
    .join(" · ");
}

/** What a rule would have done, in the order of the rows of a preview. */
export const WOULD: readonly (readonly [RuleVerdict, LaterKey])[] = [
  ["RULE_VERDICT_ANSWER", "preview.rule.answer"],
  ["RULE_VERDICT_REFUSE", "preview.rule.refuse"],
  ["RULE_VERDICT_ROUTE", "preview.rule.route"],
  ["RULE_VERDICT_ASK", "preview.rule.ask"],
  ["RULE_VERDICT_UNKNOWN", "preview.rule.unknown"],
  ["RULE_VERDICT_NO_MATCH", "preview.rule.no_match"],
];

/** What people did, in the order of the columns of a preview. */
export const DID: readonly (readonly [PeopleVerdict, LaterKey])[] = [
  ["PEOPLE_VERDICT_ACCEPT", "preview.people.accept"],
  ["PEOPLE_VERDICT_EDIT", "preview.people.edit"],
  ["PEOPLE_VERDICT_REJECT", "preview.people.reject"],
  ["PEOPLE_VERDICT_REVISE", "preview.people.revise"],
  ["PEOPLE_VERDICT_OTHER", "preview.people.other"],
  ["PEOPLE_VERDICT_NONE", "preview.people.none"],
];
