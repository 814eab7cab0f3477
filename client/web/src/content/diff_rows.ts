// The rows of a comparison, whatever it was made from, and how they stand side by side.

export interface Word {
  readonly text: string;
  readonly isChanged: boolean;
}

export interface DiffRow {
  readonly kind: "same" | "added" | "removed" | "hunk" | "file" | "note";
  /** The line without the sign at its beginning. */
  readonly text: string;
  /** The number of the line in the text before, and after; null where it is not in it or is not known. */
  readonly before: number | null;
  readonly after: number | null;
  /** The words of a changed line whose partner is known; undefined: the whole line is changed. */
  readonly words?: readonly Word[];
}

/** One line of the view side by side; a row that belongs to neither side stands across both. */
export type Pair =
  | { readonly left: DiffRow | null; readonly right: DiffRow | null }
  | { readonly across: DiffRow };

/** The rows side by side: each removed line beside the added line that took its place. */
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

/** Rows in sections; a fold holds unchanged lines that are far from every change. */
export interface Section {
  readonly isFold: boolean;
  readonly rows: readonly DiffRow[];
}

const CONTEXT = 3;
/** Fewer lines than this are shown, since the button takes a line itself. */
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
