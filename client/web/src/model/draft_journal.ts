import type { TextStore } from "../wire/environment";
import type { DraftRecord } from "./draft_store";

export const DRAFT_PREFIX = "askback.draft.";

/**
 * The drafts of this tab that are not yet in the database. Writing one here is done when the call returns, so that a
 * page that is left before its database was opened loses nothing. What cannot be written here is in the database
 * soon, as always.
 */
export class DraftJournal {
  readonly #store: TextStore;

  constructor(store: TextStore) {
    this.#store = store;
  }

  add(record: DraftRecord): void {
    this.#try(() => this.#store.set(DRAFT_PREFIX + record.promptId, JSON.stringify(record)));
  }

  /** The record is in the database. A newer one of its prompt stays. */
  written(record: DraftRecord): void {
    this.#try(() => {
      const key = DRAFT_PREFIX + record.promptId;
      if (this.#store.get(key) === JSON.stringify(record)) this.#store.remove(key);
    });
  }

  remove(promptId: string): void {
    this.#try(() => this.#store.remove(DRAFT_PREFIX + promptId));
  }

  clear(): void {
    this.#try(() => {
      for (const key of this.#keys()) this.#store.remove(key);
    });
  }

  /** What an earlier page of this tab left, of this person only; the rest is removed. */
  recover(owner: string): readonly DraftRecord[] {
    const found: DraftRecord[] = [];
    this.#try(() => {
      for (const key of this.#keys()) {
        const record = parsed(this.#store.get(key));
        if (record?.owner === owner && DRAFT_PREFIX + record.promptId === key) found.push(record);
        else this.#store.remove(key);
      }
    });
    return found;
  }

  #keys(): readonly string[] {
    return this.#store.keys().filter((key) => key.startsWith(DRAFT_PREFIX));
  }

  #try(run: () => void): void {
    try {
      run();
    } catch {
      // Storage may be full or forbidden.
    }
  }
}

function parsed(text: string | null): DraftRecord | null {
  try {
    return JSON.parse(text ?? "null") as DraftRecord | null;
  } catch {
    return null;
  }
}
