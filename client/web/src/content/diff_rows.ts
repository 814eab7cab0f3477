// The rows of a diff, and how the view arranges them: in pairs, side by side, and in sections that can be folded.

export interface Word {
  readonly text: string;
  readonly isChanged: boolean;
}

export interface DiffRow {
  readonly kind: "same" | "added" | "removed" | "hunk" | "file" | "note";
  /** The line, without the sign of a unified diff. */
  readonly text: string;
  /** The line's number in the text before and after; null if that text lacks the line, or if the number is unknown. */
  readonly before: number | null;
  readonly after: number | null;
  /** The words of a line that was compared with its replacement; undefined if the line is marked as a whole. */
  readonly words?: readonly Word[];
  /** Whether a change begins here: the line before is not added and not removed. */
  readonly begins?: true;
}

/** One line of the view side by side. A row that belongs to neither side spans both. */
export type Pair =
  | { readonly left: DiffRow | null; readonly right: DiffRow | null }
  | { readonly across: DiffRow };

/** The rows in pairs: each removed line with the added line that replaced it. */
export function pairsOf(rows: readonly DiffRow[]): readonly Pair[] {
  const pairs: Pair[] = [];
  let [removed, added]: [DiffRow[], DiffRow[]] = [[], []];
  const flush = () => {
    for (let n = 0; n < Math.max(removed.length, added.length); n += 1) {
      pairs.push({ left: removed[n] ?? null, right: added[n] ?? null });
    }
    [removed, added] = [[], []];
  };
  for (const row of rows) {
    if (row.kind === "removed") {
      if (added.length > 0) flush();
      removed.push(row);
    } else if (row.kind === "added") {
      added.push(row);
    } else {
      flush();
      pairs.push(row.kind === "same" ? { left: row, right: row } : { across: row });
    }
  }
  flush();
  return pairs;
}

/** Marks the first row of each change. */
export function markChanges(rows: readonly DiffRow[]): readonly DiffRow[] {
  return rows.map((row, place) =>
    isChange(row) && !isChange(rows[place - 1]) ? { ...row, begins: true } : row,
  );
}

export function isChange(row: DiffRow | undefined): boolean {
  return row?.kind === "added" || row?.kind === "removed";
}

/** Adjacent rows. A fold has unchanged lines only, each more than CONTEXT lines from any change. */
export interface Section {
  readonly isFold: boolean;
  readonly rows: readonly DiffRow[];
}

/** Number of unchanged lines to show before and after a change. */
const CONTEXT = 3;
/** Minimum number of lines to fold: the button takes the space of a line or two. */
const SMALLEST_FOLD = 4;

export function sectionsOf(rows: readonly DiffRow[]): readonly Section[] {
  const near = new Uint8Array(rows.length);
  rows.forEach((row, place) => {
    if (row.kind !== "same") near.fill(1, Math.max(place - CONTEXT, 0), place + CONTEXT + 1);
  });
  const sections: Section[] = [];
  for (let begin = 0; begin < rows.length; ) {
    let end = begin + 1;
    while (end < rows.length && near[end] === near[begin]) end += 1;
    const isFold = near[begin] === 0 && end - begin >= SMALLEST_FOLD;
    const found = rows.slice(begin, end);
    const last = sections.at(-1);
    if (last && !last.isFold && !isFold)
      sections[sections.length - 1] = { isFold, rows: [...last.rows, ...found] };
    else sections.push({ isFold, rows: found });
    begin = end;
  }
  return sections;
}
