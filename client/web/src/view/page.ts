// What every part of the page can reach: the prompts, the drafts, the person, and the work on each prompt.

import { signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Drafts } from "../model/drafts";
import type { Inbox } from "../model/inbox";
import type { Session } from "../model/session";
import type { Works } from "./works";

export interface Page {
  readonly inbox: Inbox;
  readonly drafts: Drafts;
  readonly session: Session;
  readonly works: Works;
}

const PageContext = createContext<Page | null>(null);

export const PageProvider = PageContext.Provider;

export function usePage(): Page {
  const page = useContext(PageContext);
  if (page === null) throw new Error("no page around this component");
  return page;
}

/** False after the end of the session, until the person signs in again. */
export function useSignedIn(): boolean {
  return usePage().inbox.link.value !== "signed_out";
}

/** The dialog that is open, if any. */
type DialogName =
  | "help"
  | "palette"
  | "bulk"
  | "override"
  | "delegate"
  | "always"
  | "away"
  | "sign-in"
  | "sign-out";
export const dialog = signal<DialogName | null>(null);

/** A prompt that the person has just given away. */
export interface GivenAway {
  readonly page: Page;
  readonly promptId: string;
  readonly title: string;
  /** To whom: `group` where `user` is empty. */
  readonly user: string;
  readonly group: string;
}

/** What the toast is about. */
export const toast = signal<GivenAway | null>(null);

/** That the person is away, in words; empty: it is not. */
export const awayText = signal("");

/** Rises with each call of this page that changes a prompt: one that is not in the inbox is read again. */
export const changes = signal(0);

/** The subject of the person who is signed in. */
export function subjectOf(page: Page): string {
  return page.session.subject ?? "";
}
