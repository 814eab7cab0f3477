import type { TextStore } from "../wire/environment";
import { DRAFT_PREFIX } from "./draft_journal";
import { STORE_PREFIX } from "./submissions";

/** The part of `navigator.locks` that is used. */
export interface TabLocks {
  /** Takes the lock until the page ends. False: another page still has it after `waitMs`. */
  hold(name: string, waitMs: number): Promise<boolean>;
}

const TAB_KEY = "askback.tab";
/** A page that reloads gives its lock back within this time, and a browser gives a free lock out. */
const LOCK_MS = 1000;

/**
 * Finds out whether this tab is the one that its `sessionStorage` belongs to. "Duplicate tab" copies the storage:
 * then the copy takes another id and drops the copied answers and drafts, which the original tab sends and writes. Without Web Locks
 * (plain http on another host than loopback) both send them, and the service counts equal ids once.
 */
export async function claimTab(
  store: TextStore,
  locks: TabLocks | null,
  newId: () => string,
): Promise<string> {
  let id = read(store);
  if (id && locks && !(await locks.hold(lockName(id), LOCK_MS))) {
    id = null;
    dropCopies(store);
  }
  if (id) {
    return id;
  }
  const fresh = newId();
  try {
    store.set(TAB_KEY, fresh);
  } catch {
    // Without storage there is nothing that a duplicate could copy.
  }
  await locks?.hold(lockName(fresh), LOCK_MS);
  return fresh;
}

function lockName(id: string): string {
  return `askback-tab-${id}`;
}

function read(store: TextStore): string | null {
  try {
    return store.get(TAB_KEY);
  } catch {
    return null;
  }
}

function dropCopies(store: TextStore): void {
  try {
    for (const key of store.keys()) {
      if (key.startsWith(STORE_PREFIX) || key.startsWith(DRAFT_PREFIX)) {
        store.remove(key);
      }
    }
  } catch {
    // What cannot be removed is sent twice, which changes nothing.
  }
}
