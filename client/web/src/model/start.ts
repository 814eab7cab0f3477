import { clock, newId, openSocket, tabLocks, tabStore } from "../wire/browser";
import { eventSockets } from "../wire/event_socket";
import { withFallback } from "../wire/fallback";
import type { PromptFilter } from "../wire/messages";
import { IndexedDrafts } from "./draft_database";
import { DraftStore } from "./draft_store";
import type { Drafts } from "./drafts";
import { openHints } from "./hints";
import type { Inbox } from "./inbox";
import { LiveInbox } from "./live_inbox";
import type { Session } from "./session";
import { claimTab } from "./tab";

export const fetchHere: typeof fetch = (input, init) => fetch(input, init);

/** The version of the page that runs, which the build wrote into index.html. */
export function pageVersion(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="askback-page"]')?.content ?? "";
}

export interface Started {
  readonly inbox: Inbox;
  readonly drafts: Drafts;
  /** Ends everything: another person signs in. */
  close(): void;
}

let tab: Promise<string> | null = null;

/** Opens the inbox of the person who is signed in, and follows the browser's events. */
export async function start(session: Session, namespace = "", filter: PromptFilter = {}): Promise<Started> {
  tab ??= claimTab(tabStore, tabLocks(), newId);
  const ownTab = await tab;
  const hints = openHints();
  const drafts = new DraftStore({
    clock,
    database: new IndexedDrafts(indexedDB),
    store: tabStore,
    server: location.origin,
    subject: session.subject ?? "",
    tab: ownTab,
  });
  const inbox = new LiveInbox({
    clock,
    random: Math.random,
    openSocket: withFallback(openSocket, eventSockets(fetchHere)),
    fetch: fetchHere,
    store: tabStore,
    hints,
    drafts,
    session,
    pageVersion: pageVersion(),
    tab: ownTab,
    namespace,
    filter,
    newId,
    visible: () => document.visibilityState === "visible",
    online: () => navigator.onLine,
  });
  const gone = new AbortController();
  const { signal } = gone;
  const changed = () => {
    if (document.visibilityState === "visible") {
      inbox.wake();
    } else {
      drafts.flush();
    }
  };
  document.addEventListener("visibilitychange", changed, { signal });
  addEventListener("pageshow", changed, { signal });
  addEventListener("pagehide", () => drafts.flush(), { signal });
  addEventListener("online", () => inbox.networkChanged(), { signal });
  addEventListener("offline", () => inbox.networkChanged(), { signal });
  const close = () => {
    gone.abort();
    drafts.flush();
    inbox.close();
    hints.close();
  };
  return { inbox, drafts, close };
}
