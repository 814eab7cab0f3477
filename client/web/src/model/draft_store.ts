import { type ReadonlySignal, signal } from "@preact/signals-core";
import type { Clock } from "../wire/environment";
import type { Draft, Drafts } from "./drafts";

/** A record as it is stored. */
export interface DraftRecord {
  /** Server, person and prompt. */
  readonly key: string;
  /** Server and person. */
  readonly owner: string;
  readonly promptId: string;
  readonly savedAt: number;
  readonly draft: Draft;
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
  readonly server: string;
  readonly subject: string;
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
  readonly #status = signal<"ok" | "full" | "too_large">("ok");
  readonly #waiting = new Map<string, { draft: Draft; cancel: () => void }>();
  /** Writes go one after another, so that an older one never lands last. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: DraftOptions) {
    this.#options = options;
    this.#owner = JSON.stringify([options.server, options.subject]);
    void this.#inOrder(() => this.#deleteOld());
  }

  get status(): ReadonlySignal<"ok" | "full" | "too_large"> {
    return this.#status;
  }

  async load(promptId: string): Promise<Draft | null> {
    const waiting = this.#waiting.get(promptId);
    if (waiting) {
      return waiting.draft;
    }
    try {
      await this.#last;
      return (await this.#options.database.get(this.#key(promptId)))?.draft ?? null;
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

  async remove(promptId: string): Promise<void> {
    this.#waiting.get(promptId)?.cancel();
    this.#waiting.delete(promptId);
    await this.#inOrder(() => this.#options.database.remove([this.#key(promptId)]));
  }

  async list(): Promise<readonly string[]> {
    this.flush();
    await this.#last;
    try {
      return (await this.#options.database.ofOwner(this.#owner)).map((record) => record.promptId);
    } catch {
      return [];
    }
  }

  async clear(): Promise<void> {
    for (const { cancel } of this.#waiting.values()) {
      cancel();
    }
    this.#waiting.clear();
    await this.#inOrder(async () => {
      const records = await this.#options.database.ofOwner(this.#owner);
      await this.#options.database.remove(records.map((record) => record.key));
    });
  }

  #write(promptId: string): void {
    const waiting = this.#waiting.get(promptId);
    if (!waiting) {
      return;
    }
    waiting.cancel();
    this.#waiting.delete(promptId);
    const { draft } = waiting;
    if (JSON.stringify(draft).length > MAX_CHARS) {
      this.#status.value = "too_large";
      return;
    }
    const savedAt = draft.savedAt ?? 0;
    const record = { key: this.#key(promptId), owner: this.#owner, promptId, savedAt, draft };
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
    this.#status.value = "ok";
  }

  async #deleteOld(): Promise<void> {
    const oldest = this.#options.clock.wall() - MAX_AGE_MS;
    const own = await this.#options.database.ofOwner(this.#owner);
    const old = own.filter(({ savedAt }) => savedAt < oldest);
    await this.#options.database.remove(old.map(({ key }) => key));
  }

  #inOrder(run: () => Promise<void>): Promise<void> {
    const done = this.#last.then(run).catch(() => {
      this.#status.value = "full";
    });
    this.#last = done;
    return done;
  }

  #key(promptId: string): string {
    return JSON.stringify([this.#options.server, this.#options.subject, promptId]);
  }
}
