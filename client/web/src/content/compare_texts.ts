// Compares two texts by lines, then changed lines by words, with jsdiff. The limits count work, not time, so that every
// browser shows the same comparison.

import { diffArrays, diffWordsWithSpace } from "diff";
import { type DiffRow, markChanges, type Word } from "./diff_rows";
import { unifiedRows } from "./unified_diff";

/** Maximum number of changed lines. jsdiff's work grows with its square, in one step: about 60 ms at this limit. */
export const MAX_CHANGED_LINES = 1_000;
const MAX_WORDS_LINE = 1_000;
const MAX_WORD_EDITS = 100;
/** Maximum number of pairs of lines that are compared by words. Further lines are marked as a whole. */
const MAX_WORD_LINES = 500;
/** Minimum share of common characters. Below it the lines are different as a whole: marked words would distract. */
const LEAST_COMMON = 0.3;

export type DiffSource = { readonly diff: string } | { readonly before: string; readonly after: string };

/** The rows of a diff or of two texts, in steps; null where the texts are too different. */
export function* readDiff(source: DiffSource): Generator<void, readonly DiffRow[] | null> {
  const rows =
    "diff" in source ? unifiedRows(unixLines(source.diff)) : compareLines(source.before, source.after);
  yield;
  return rows === null ? null : markChanges(yield* withWords(rows));
}

/** The rows of both texts by lines; null if more than MAX_CHANGED_LINES lines changed. */
function compareLines(before: string, after: string): readonly DiffRow[] | null {
  const areWindows = hasOnlyWindowsEnds(before) && hasOnlyWindowsEnds(after);
  const lines = (text: string) => (areWindows ? unixLines(text) : text).split("\n");
  const parts = diffArrays(lines(before), lines(after), { maxEditLength: MAX_CHANGED_LINES });
  if (parts === undefined) return null;
  const rows: DiffRow[] = [];
  let [numberBefore, numberAfter] = [0, 0];
  for (const part of parts) {
    const kind = part.added ? "added" : part.removed ? "removed" : "same";
    for (const text of part.value) {
      if (kind !== "added") numberBefore += 1;
      if (kind !== "removed") numberAfter += 1;
      rows.push({
        kind,
        text,
        before: kind === "added" ? null : numberBefore,
        after: kind === "removed" ? null : numberAfter,
      });
    }
  }
  return rows;
}

/** The text with Unix line ends if all are Windows line ends. Mixed ends stay: they may be the change. */
function unixLines(text: string): string {
  return hasOnlyWindowsEnds(text) ? text.replaceAll("\r\n", "\n") : text;
}

function hasOnlyWindowsEnds(text: string): boolean {
  return !/(?<!\r)\n/.test(text);
}

/** Marks the words in which a removed line differs from the added line that took its place. */
function* withWords(rows: readonly DiffRow[]): Generator<void, readonly DiffRow[]> {
  const found = [...rows];
  let budget = MAX_WORD_LINES;
  for (let place = 0; place < found.length; ) {
    const removed = run(found, place, "removed");
    const added = run(found, place + removed, "added");
    for (let n = 0; n < Math.min(removed, added) && budget > 0; n += 1, budget -= 1) {
      const [left, right] = [found[place + n], found[place + removed + n]];
      if (left === undefined || right === undefined) break;
      const words = compareWords(left.text, right.text);
      yield;
      if (words === null) continue;
      found[place + n] = { ...left, words: words.before };
      found[place + removed + n] = { ...right, words: words.after };
    }
    place += Math.max(removed + added, 1);
  }
  return found;
}

function run(rows: readonly DiffRow[], begin: number, kind: DiffRow["kind"]): number {
  let end = begin;
  while (rows[end]?.kind === kind) end += 1;
  return end - begin;
}

function compareWords(
  before: string,
  after: string,
): { readonly before: readonly Word[]; readonly after: readonly Word[] } | null {
  if (Math.max(before.length, after.length) > MAX_WORDS_LINE) return null;
  const parts = diffWordsWithSpace(before, after, { maxEditLength: MAX_WORD_EDITS });
  if (parts === undefined) return null;
  const common = parts.reduce((sum, part) => sum + (part.added || part.removed ? 0 : part.value.length), 0);
  if (common < LEAST_COMMON * Math.max(before.length, after.length)) return null;
  const words = (side: "added" | "removed") =>
    parts
      .filter((part) => part[side] || !(part.added || part.removed))
      .map((part) => ({ text: part.value, isChanged: part[side] }));
  return { before: words("removed"), after: words("added") };
}
