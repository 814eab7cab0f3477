// Names to suggest where a person is asked for: those that prompts of the page name and, for admins, the directory's.

import type { Row } from "../../model/inbox";
import { isAdmin } from "../roles";
import { type Page, subjectOf } from "../page";

/** How many people of the directory are suggested. */
const MOST = 500;

function namesIn({ prompt }: Row): readonly string[] {
  const { votes = [], delegations = [], claimedBy = "", content } = prompt;
  return [
    ...(content?.audience?.users ?? []),
    ...(content?.delegation?.users ?? []),
    ...votes.map((one) => one.userId ?? ""),
    ...delegations.flatMap((one) => [one.holder ?? "", one.giver ?? "", one.user ?? ""]),
    claimedBy,
  ];
}

function sorted(names: Iterable<string>): readonly string[] {
  return [...new Set(names)].filter((name) => name !== "").sort();
}

/** People whom the prompts of the page name, without the one who is signed in. */
export function peopleOf(page: Page): readonly string[] {
  const found = [...page.inbox.rows.peek().values()].flatMap(namesIn);
  return sorted(found.filter((name) => name !== subjectOf(page)));
}

/** The person's own groups, and those that the prompts of the page name. */
export function groupsOf({ inbox }: Page): readonly string[] {
  const found = [...inbox.rows.peek().values()].flatMap(({ prompt: { content } }) => [
    ...(content?.audience?.groups ?? []),
    ...(content?.delegation?.groups ?? []),
  ]);
  return sorted([...(inbox.session.peek().groups ?? []), ...found]);
}

/** The people of the directory, which only admins may read; empty also where it cannot be read. */
export async function readPeople(page: Page): Promise<readonly string[]> {
  if (!isAdmin(page.inbox.session.peek())) return [];
  try {
    const { people = [] } = await page.inbox.call("AccessService/ListPeople", { pageSize: MOST });
    return people.map((one) => one.subject ?? "").filter((name) => name !== subjectOf(page));
  } catch {
    return [];
  }
}
