// Reads a unified diff (`text/x-diff`). Each line becomes exactly one row, even in a malformed diff, because a person
// decides on all of it. (jsdiff's `parsePatch` drops lines between files, and throws if a count is wrong.)

import type { DiffRow } from "./diff_rows";

const HUNK = /^@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@/;
const FILE =
  /^(?:diff |index |--- |\+\+\+ |(?:new|deleted) file mode |(?:old|new) mode |rename |copy |similarity |Binary files )/;
const KINDS: ReadonlyMap<string, DiffRow["kind"]> = new Map([
  ["+", "added"],
  ["-", "removed"],
  [" ", "same"],
]);

/** The rows of a diff, from top to bottom. */
export function unifiedRows(text: string): readonly DiffRow[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const reader = new UnifiedReader();
  return lines.map((line) => reader.row(line));
}

class UnifiedReader {
  #before = 0;
  #after = 0;
  /** Number of lines that the hunk still has on each side. */
  #left = { before: 0, after: 0 };

  row(line: string): DiffRow {
    const hunk = HUNK.exec(line);
    if (hunk !== null) {
      this.#begin(hunk);
      return outside("hunk", line);
    }
    const kind = line === "" ? "same" : KINDS.get(line[0] ?? "");
    if (kind !== undefined && this.#has(kind)) return this.#inside(kind, line.slice(1));
    if (line.startsWith("\\")) return outside("note", line);
    this.#left = { before: 0, after: 0 };
    if (FILE.test(line)) return outside("file", line);
    return kind === "added" || kind === "removed" ? outside(kind, line.slice(1)) : outside("note", line);
  }

  #begin(hunk: RegExpExecArray): void {
    const count = (digits: string | undefined) => (digits === undefined ? 1 : Number(digits));
    this.#before = Number(hunk[1]);
    this.#after = Number(hunk[3]);
    this.#left = { before: count(hunk[2]), after: count(hunk[4]) };
  }

  /** Whether the hunk still has a line of this kind. */
  #has(kind: DiffRow["kind"]): boolean {
    const before = kind === "added" || this.#left.before > 0;
    const after = kind === "removed" || this.#left.after > 0;
    return before && after;
  }

  #inside(kind: DiffRow["kind"], text: string): DiffRow {
    const row = {
      kind,
      text,
      before: kind === "added" ? null : this.#before,
      after: kind === "removed" ? null : this.#after,
    };
    if (row.before !== null) {
      this.#before += 1;
      this.#left.before -= 1;
    }
    if (row.after !== null) {
      this.#after += 1;
      this.#left.after -= 1;
    }
    return row;
  }
}

function outside(kind: DiffRow["kind"], text: string): DiffRow {
  return { kind, text, before: null, after: null };
}
