import type { TextStore } from "../../src/wire/environment";

/** `sessionStorage`; `full` lets every write fail. */
export class FakeStore implements TextStore {
  full = false;
  readonly entries: Map<string, string>;

  constructor(entries: Iterable<[string, string]> = []) {
    this.entries = new Map(entries);
  }

  get(key: string): string | null {
    return this.entries.get(key) ?? null;
  }

  set(key: string, value: string): void {
    if (this.full) {
      throw new Error("QuotaExceededError");
    }
    this.entries.set(key, value);
  }

  remove(key: string): void {
    this.entries.delete(key);
  }

  keys(): readonly string[] {
    return [...this.entries.keys()];
  }

  /** What "duplicate tab" does. */
  copy(): FakeStore {
    return new FakeStore(this.entries);
  }
}
