// Why a prompt excludes the person, as far as it says so.

import type { Row } from "../model/inbox";
import { rich, t } from "../words/later";
import { subjectOf, usePage } from "./page";
import { requesterOf } from "./prompt_facts";
import { Name } from "./ui";

export function WhyExcluded({ row }: { readonly row: Row }) {
  const page = usePage();
  const { requester = false, groups = [], users = [], answerersOf = [] } = row.prompt.content?.exclude ?? {};
  const subject = subjectOf(page);
  if (requester && subject !== "" && requesterOf(row.prompt) === subject)
    return <>{t("excluded.requester")}</>;
  const group = groups.find((one) => page.inbox.session.value.groups?.includes(one));
  if (group !== undefined && !users.includes(subject))
    return <>{rich("excluded.group", { group: <Name text={group} /> })}</>;
  return <>{t(users.includes(subject) && answerersOf.length > 0 ? "excluded.answered" : "excluded.user")}</>;
}
