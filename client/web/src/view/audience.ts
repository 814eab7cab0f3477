// The people who are asked, in words.

import type { Audience, Exclusion, PromptContent } from "../wire/messages";
import { t } from "../words/later";

/** The groups and people of an audience; empty: everyone. */
export function namesOf(audience: Audience | Exclusion | undefined): string {
  const { users = [], groups = [] } = audience ?? {};
  return [...groups.map((name) => t("audience.group", { name })), ...users].join(", ");
}

/** Who may answer a question; empty: everyone. */
export function audienceNames(content: PromptContent): string {
  return namesOf(content.audience);
}
