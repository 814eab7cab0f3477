// The people who are asked, in words.

import type { Audience, Exclusion, Prompt } from "../wire/messages";
import { t } from "../words/later";
import { isForAll } from "./rights";

/** The groups and people of an audience; empty: everyone. */
export function namesOf(audience: Audience | Exclusion | undefined): string {
  const { users = [], groups = [] } = audience ?? {};
  return [...groups.map((name) => t("audience.group", { name })), ...users].join(", ");
}

/** Who may answer a question, also by a delegation, without those who gave their right away; empty: everyone. */
export function reachNames(prompt: Prompt): string {
  const { users = [], groups = [] } = prompt.content?.audience ?? {};
  if (isForAll(prompt)) return "";
  const [people, teams] = [new Set(users), new Set(groups)];
  for (const { user = "", group = "", giver = "", transferred = false } of prompt.delegations ?? []) {
    if (transferred) people.delete(giver);
    if (user !== "") people.add(user);
    if (group !== "") teams.add(group);
  }
  return namesOf({ users: [...people], groups: [...teams] });
}
