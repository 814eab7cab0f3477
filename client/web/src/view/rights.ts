// By which right a person may act on a prompt: as one of those who are asked, or by a delegation.

import type { Session } from "../model/session";
import type { Audience, Delegation, Exclusion, Prompt } from "../wire/messages";

/** What of a session says whether a prompt is for the person. */
export type Person = Pick<Session, "subject" | "groups" | "admin">;

/** That a person may act on a prompt. */
export interface Right {
  /** In whose place; the person itself with a right of its own. */
  readonly holder: string;
  /** Undefined: it is a right of its own. */
  readonly delegation?: Delegation;
}

/** Whether a list of people has this one, by name or by group. */
export function includes(people: Audience | Exclusion, { subject = "", groups = [] }: Person): boolean {
  return people.users?.includes(subject) === true || groups.some((one) => people.groups?.includes(one));
}

/** Whether a prompt is asked of everyone. */
export function isForAll({ content: { audience: { users = [], groups = [] } = {} } = {} }: Prompt): boolean {
  return users.length + groups.length === 0;
}

/** The right of a person, as the service finds it; undefined: it is not one of those who may act. */
export function rightOf(prompt: Prompt, person: Person): Right | undefined {
  const { content: { audience = {} } = {}, delegations = [] } = prompt;
  const { subject = "", groups = [] } = person;
  // A right that came after the person gave one away is another one.
  const last = delegations.findLast(
    (one) => one.user === subject || (one.transferred && one.giver === subject),
  );
  if (last !== undefined && last.user !== subject) return undefined;
  const hasGiven = delegations.some(
    (one) => one.transferred && one.giver === subject && one.holder === subject,
  );
  if (!hasGiven && (isForAll(prompt) || includes(audience, person))) return { holder: subject };
  const delegation =
    delegations.find((one) => one.user === subject) ??
    delegations.find((one) => groups.includes(one.group ?? ""));
  return delegation === undefined ? undefined : { holder: delegation.holder ?? "", delegation };
}
