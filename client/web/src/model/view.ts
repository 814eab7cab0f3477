import type { Prompt, PromptClosed, PromptEvent } from "../wire/messages";
import type { Closed, Row } from "./inbox";

/** What a catch-up changed, for "you were away". */
interface Difference {
  readonly closed: number;
  readonly added: number;
}

/** Tombstones that are kept, newest first: their contents may be large, and a page stays open all day. */
export const MAX_TOMBSTONES = 300;
/** Prompts without a row whose version is remembered. */
const MAX_FORGOTTEN = 5000;

function versionOf(text: string | undefined): bigint {
  return BigInt(text || "0");
}

/** How a prompt ended, as its closed state tells; undefined while it is open. */
function closedOf(prompt: Prompt, answerId: string, mine: boolean): Closed | undefined {
  if (!prompt.resolution) {
    return undefined;
  }
  return { resolution: prompt.resolution, answerId, mine, at: Date.parse(prompt.resolution.time ?? "") || 0 };
}

/**
 * The rows of the view. Frames may come doubled, late or in another order over two sockets, so the version of each
 * prompt decides: the highest one wins, and a closed prompt stays closed.
 */
export class View {
  /** Changes with every method; the map itself is never changed. */
  rows: ReadonlyMap<string, Row> = new Map();
  readonly #isMine: (answerId: string) => boolean;
  readonly #now: () => number;
  #versions = new Map<string, bigint>();
  /** The open prompts of the snapshot that is coming; null outside of one. */
  #snapshot: Set<string> | null = null;
  #dropMissing = false;
  /** Ids of rows that became tombstones, oldest first. */
  #tombstones: string[] = [];
  /** Open prompts when the connection was lost; null while it is live. */
  #before: ReadonlySet<string> | null = null;

  constructor(now: () => number, isMine: (answerId: string) => boolean) {
    this.#now = now;
    this.#isMine = isMine;
  }

  get openCount(): number {
    let count = 0;
    for (const row of this.rows.values()) {
      count += isOpen(row) ? 1 : 0;
    }
    return count;
  }

  /** The view is not live from here on. */
  lost(): void {
    this.#before ??= this.#openIds();
  }

  /** A snapshot follows that was taken without a resume token, so it is the truth whatever versions are known. */
  snapshotBegins(): void {
    this.#snapshot = new Set();
    this.#versions = new Map();
  }

  /** Changes follow. Of a snapshot that broke off it is unknown what it would still have had. */
  resumes(): void {
    this.#snapshot = null;
  }

  /** Another filter: what the next snapshot does not have is no news, so it leaves no tombstone. */
  filterChanged(): void {
    this.#dropMissing = true;
    this.#before = null;
  }

  /** The server starts the view again: a snapshot follows. What it does not have has left the view. */
  reset(historyLost: boolean): void {
    this.#snapshot = new Set();
    if (historyLost) {
      // Versions count from another history now, and what is closed here may be open there.
      this.#versions = new Map();
      this.#tombstones = [];
      this.rows = new Map([...this.rows].filter(([, row]) => isOpen(row)));
    }
  }

  apply(events: readonly PromptEvent[]): void {
    const rows = new Map(this.rows);
    for (const event of events) {
      if (event.upserted?.prompt) {
        this.#put(rows, event.upserted.prompt, "");
        this.#snapshot?.add(event.upserted.prompt.promptId ?? "");
      } else if (event.closed) {
        this.#close(rows, event.closed);
      } else if (event.removed) {
        const id = event.removed.promptId ?? "";
        if (this.#isNewer(id, versionOf(event.removed.version))) {
          const row = rows.get(id);
          if (row && isOpen(row)) {
            rows.set(id, { ...row, removed: true });
            this.#tombstones.push(id);
          }
        }
      }
    }
    this.#publish(rows);
  }

  /** Takes a prompt from a reply. One that the view never had stays out: the reply is no event of the view. */
  learn(prompt: Prompt, answerId = ""): void {
    if (this.rows.has(prompt.promptId ?? "")) {
      const rows = new Map(this.rows);
      this.#put(rows, prompt, answerId);
      this.#publish(rows);
    }
  }

  /** The row of a prompt of a reply: that of the view where it is as new, else one that the view does not have. */
  rowOf(prompt: Prompt): Row {
    const row = this.rows.get(prompt.promptId ?? "");
    if (row && versionOf(row.prompt.version) >= versionOf(prompt.version)) {
      return row;
    }
    const answerId = prompt.resolution?.answer?.answerId ?? "";
    const closed = closedOf(prompt, answerId, this.#isMine(answerId));
    return { prompt, arrivedAt: this.#now(), ...(closed ? { closed } : {}) };
  }

  /** Every event of the snapshot has come. */
  finishSnapshot(): void {
    if (this.#snapshot) {
      this.#closeMissing(this.#snapshot);
      this.#snapshot = null;
    }
  }

  /** The view is live again. Returns what changed since the connection was lost. */
  becameLive(): Difference {
    const before = this.#before;
    this.#before = null;
    this.#dropMissing = false;
    if (!before) {
      return { closed: 0, added: 0 };
    }
    const after = this.#openIds();
    const count = (of: ReadonlySet<string>, without: ReadonlySet<string>) =>
      [...of].filter((id) => !without.has(id)).length;
    return { closed: count(before, after), added: count(after, before) };
  }

  /** Forgets a tombstone. */
  forget(id: string): void {
    const row = this.rows.get(id);
    if (row && !isOpen(row)) {
      const rows = new Map(this.rows);
      rows.delete(id);
      this.rows = rows;
    }
  }

  #closeMissing(snapshot: ReadonlySet<string>): void {
    const rows = new Map(this.rows);
    for (const [id, row] of this.rows) {
      if (snapshot.has(id) || !isOpen(row)) {
        continue;
      }
      if (this.#dropMissing) {
        rows.delete(id);
      } else {
        rows.set(id, { ...row, removed: true });
        this.#tombstones.push(id);
      }
    }
    this.#publish(rows);
  }

  #publish(rows: Map<string, Row>): void {
    for (const id of this.#tombstones.splice(0, this.#tombstones.length - MAX_TOMBSTONES)) {
      const row = rows.get(id);
      if (row && !isOpen(row)) {
        rows.delete(id);
      }
    }
    this.rows = rows;
  }

  #put(rows: Map<string, Row>, prompt: Prompt, answerId: string): void {
    const id = prompt.promptId ?? "";
    const row = rows.get(id);
    const version = versionOf(prompt.version);
    const known = this.#versions.get(id);
    // With an equal version, a snapshot brings a row back, and a reply tells how a removed prompt ended.
    const comesBack = this.#snapshot !== null && !row;
    const knownEnd =
      row?.removed === true && !row.closed && (this.#snapshot !== null || prompt.resolution !== undefined);
    if (!(version === known && (comesBack || knownEnd)) && !this.#isNewer(id, version)) {
      return;
    }
    const end = answerId || prompt.resolution?.answer?.answerId || "";
    const closed = closedOf(prompt, end, this.#isMine(end));
    const arrivedAt = row?.arrivedAt ?? this.#now();
    if (closed) {
      this.#tombstones.push(id);
    }
    rows.set(id, closed ? { prompt, closed, arrivedAt } : { prompt, arrivedAt });
  }

  #close(rows: Map<string, Row>, event: PromptClosed): void {
    const id = event.promptId ?? "";
    const row = rows.get(id);
    if (!this.#isNewer(id, versionOf(event.version)) || !row) {
      return;
    }
    const answerId = event.answerId ?? "";
    const prompt: Prompt = {
      ...row.prompt,
      ...(event.version ? { version: event.version } : {}),
      ...(event.resolution ? { resolution: event.resolution } : {}),
      ...(event.resolution?.state ? { state: event.resolution.state } : {}),
    };
    const closed = closedOf(
      { ...prompt, resolution: event.resolution ?? {} },
      answerId,
      this.#isMine(answerId),
    );
    this.#tombstones.push(id);
    rows.set(id, { prompt, arrivedAt: row.arrivedAt, ...(closed ? { closed } : {}) });
  }

  /** Remembers the version if it is the highest one of the prompt. */
  #isNewer(id: string, version: bigint): boolean {
    const known = this.#versions.get(id);
    if (known !== undefined && version <= known) {
      return false;
    }
    this.#versions.delete(id);
    this.#versions.set(id, version);
    if (this.#versions.size > this.rows.size + MAX_FORGOTTEN) {
      this.#shrink();
    }
    return true;
  }

  /** Drops the oldest versions of prompts without a row. */
  #shrink(): void {
    let surplus = this.#versions.size - this.rows.size - MAX_FORGOTTEN / 2;
    for (const id of this.#versions.keys()) {
      if (surplus <= 0) {
        return;
      }
      if (!this.rows.has(id)) {
        this.#versions.delete(id);
        surplus -= 1;
      }
    }
  }

  #openIds(): ReadonlySet<string> {
    return new Set([...this.rows].filter(([, row]) => isOpen(row)).map(([id]) => id));
  }
}

/** True: the prompt can still be answered, as far as the page knows. */
export function isOpen(row: Row): boolean {
  return !row.closed && !row.removed;
}
