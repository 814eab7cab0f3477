import { type ReadonlySignal, signal } from "@preact/signals-core";
import type { Clock, TextStore } from "../wire/environment";
import { DraftJournal } from "./draft_journal";
import type { Draft, Drafts } from "./drafts";

/** A record as it is stored. */
export interface DraftRecord {
  /** Server, person, prompt and tab. */
  readonly key: string;
  /** Server and person. */
  readonly owner: string;
  readonly promptId: string;
  readonly savedAt: number;
  /** Null: its tab had taken over the text of another one, and threw it away. */
  readonly draft: Draft | null;
}

/** The database of drafts. Each method may reject: storage may be full or forbidden. */
export interface DraftDatabase {
  get(key: string): Promise<DraftRecord | undefined>;
  put(record: DraftRecord): Promise<void>;
  remove(keys: readonly string[]): Promise<void>;
  /** All records of a person, oldest first. */
  ofOwner(owner: string): Promise<readonly DraftRecord[]>;
}

interface DraftOptions {
  readonly clock: Clock;
  readonly database: DraftDatabase;
  /** The storage of this tab. */
  readonly store: TextStore;
  readonly server: string;
  readonly subject: string;
  /** The id of this tab, which a reload keeps. */
  readonly tab: string;
}

const SAVE_MS = 300;
const MAX_CHARS = 200_000;
const MAX_AGE_MS = 14 * 24 * 3600 * 1000;
/** Drafts that are deleted at once when the storage is full. */
const EVICT = 5;

/** Saves drafts by prompt, never by view: every way to a form and from it keeps what was typed. */
export class DraftStore implements Drafts {
  readonly #options: DraftOptions;
  readonly #owner: string;
  readonly #journal: DraftJournal;
  readonly #status = signal<"ok" | "full" | "too_large">("ok");
  /** The prompts for which this tab has taken over the text of another one. */
  readonly #takenOver = new Set<string>();
  readonly #waiting = new Map<string, { draft: Draft; cancel: () => void }>();
  /** Writes go one after another, so that an older one never lands last. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: DraftOptions) {
    this.#options = options;
    this.#owner = JSON.stringify([options.server, options.subject]);
    this.#journal = new DraftJournal(options.store);
    for (const record of this.#journal.recover(this.#owner)) {
      void this.#inOrder(() => this.#put(record));
    }
    void this.#deleteOld();
  }

  get status(): ReadonlySignal<"ok" | "full" | "too_large"> {
    return this.#status;
  }

  async load(promptId: string): Promise<Draft | null> {
    const waiting = this.#waiting.get(promptId);
    if (waiting) {
      return waiting.draft;
    }
    // What the database does not have, or cannot take, is this tab's newest.
    const kept = this.#journal.recover(this.#owner).find((record) => record.promptId === promptId);
    if (kept) return kept.draft;
    try {
      await this.#last;
      const found = await this.#newest(promptId);
      if (found !== undefined && (found.draft === null || found.key !== this.#key(promptId))) {
        this.#takenOver.add(promptId);
      }
      return found?.draft ?? null;
    } catch {
      return null;
    }
  }

  save(promptId: string, draft: Draft): void {
    this.#waiting.get(promptId)?.cancel();
    const dated = { ...draft, savedAt: this.#options.clock.wall() };
    const cancel = this.#options.clock.after(SAVE_MS, () => this.#write(promptId));
    this.#waiting.set(promptId, { draft: dated, cancel });
  }

  flush(): void {
    for (const promptId of [...this.#waiting.keys()]) {
      this.#write(promptId);
    }
  }

  async discard(promptId: string): Promise<void> {
    this.#cancel(promptId);
    this.#journal.remove(promptId);
    const record = this.#record(promptId, this.#options.clock.wall(), null);
    await this.#inOrder(() =>
      this.#takenOver.has(promptId) ? this.#put(record) : this.#options.database.remove([record.key]),
    );
  }

  async remove(promptId: string): Promise<void> {
    this.#cancel(promptId);
    this.#journal.remove(promptId);
    await this.#inOrder(async () => {
      const found = await this.#ofPrompt(promptId);
      await this.#options.database.remove(found.map((record) => record.key));
    });
  }

  async list(): Promise<readonly string[]> {
    this.flush();
    await this.#last;
    try {
      const newest = new Map<string, DraftRecord>();
      for (const record of await this.#options.database.ofOwner(this.#owner)) {
        const { promptId } = record;
        if (newest.get(promptId)?.key !== this.#key(promptId)) newest.set(promptId, record);
      }
      return [...newest.values()].filter(({ draft }) => draft !== null).map(({ promptId }) => promptId);
    } catch {
      return [];
    }
  }

  async clear(): Promise<void> {
    for (const { cancel } of this.#waiting.values()) {
      cancel();
    }
    this.#waiting.clear();
    this.#journal.clear();
    await this.#inOrder(async () => {
      const records = await this.#options.database.ofOwner(this.#owner);
      await this.#options.database.remove(records.map((record) => record.key));
    });
  }

  #cancel(promptId: string): void {
    this.#waiting.get(promptId)?.cancel();
    this.#waiting.delete(promptId);
  }

  /** The record of this tab, or else the newest of another one. */
  async #newest(promptId: string): Promise<DraftRecord | undefined> {
    const own = await this.#options.database.get(this.#key(promptId));
    return own ?? (await this.#ofPrompt(promptId)).at(-1);
  }

  async #ofPrompt(promptId: string): Promise<readonly DraftRecord[]> {
    const all = await this.#options.database.ofOwner(this.#owner);
    return all.filter((record) => record.promptId === promptId);
  }

  #write(promptId: string): void {
    const waiting = this.#waiting.get(promptId);
    if (!waiting) {
      return;
    }
    this.#cancel(promptId);
    const { draft } = waiting;
    if (JSON.stringify(draft).length > MAX_CHARS) {
      this.#status.value = "too_large";
      return;
    }
    const record = this.#record(promptId, draft.savedAt ?? 0, draft);
    this.#journal.add(record);
    void this.#inOrder(() => this.#put(record));
  }

  async #put(record: DraftRecord): Promise<void> {
    const { database } = this.#options;
    try {
      await database.put(record);
    } catch {
      // Only our own drafts make room, the oldest first. The one that is being written stays.
      const own = await database.ofOwner(this.#owner);
      const others = own.filter(({ key }) => key !== record.key).slice(0, EVICT);
      await database.remove(others.map(({ key }) => key));
      await database.put(record);
    }
    this.#journal.written(record);
    this.#status.value = "ok";
  }

  async #deleteOld(): Promise<void> {
    try {
      // Not in order: what is typed meanwhile must not wait for it when the page is left.
      if ((await this.#old()).length === 0) return;
    } catch {
      this.#status.value = "full";
      return;
    }
    await this.#inOrder(async () => this.#options.database.remove(await this.#old()));
  }

  /** The keys of drafts that no one has changed for long. */
  async #old(): Promise<readonly string[]> {
    const oldest = this.#options.clock.wall() - MAX_AGE_MS;
    const own = await this.#options.database.ofOwner(this.#owner);
    return own.filter(({ savedAt }) => savedAt < oldest).map(({ key }) => key);
  }

  #inOrder(run: () => Promise<void>): Promise<void> {
    const done = this.#last.then(run).catch(() => {
      this.#status.value = "full";
    });
    this.#last = done;
    return done;
  }

  #record(promptId: string, savedAt: number, draft: Draft | null): DraftRecord {
    return { key: this.#key(promptId), owner: this.#owner, promptId, savedAt, draft };
  }

  #key(promptId: string): string {
    const { server, subject, tab } = this.#options;
    return JSON.stringify([server, subject, promptId, tab]);
  }
}
