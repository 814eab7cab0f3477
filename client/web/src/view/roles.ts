// What the roles of a session let a person see.

import type { Session } from "../model/session";

/** Whether the person may list jobs, see results, cancel and retry. */
export function isClient(session: Session): boolean {
  return session.admin === true || (session.roles ?? []).includes("client");
}

/** Whether the person may see the list of people. */
export function isAdmin(session: Session): boolean {
  return session.admin === true;
}

/** Whether the person may see and write the rules that answer. */
export function writesRules(session: Session): boolean {
  return session.admin === true || (session.roles ?? []).includes("policy");
}
