// A JSON value as the rows of a tree. Numbers stay as they were written, names in the order of the text.

import { format, isArray, isObject, type Json } from "../json/exact";
import { childPointer } from "../json/pointer";

export interface JsonRow {
  /** The JSON pointer of the value; of a row for more, the container's with ` more`. */
  readonly id: string;
  /** The row of the container; empty at the top. */
  readonly parent: string;
  readonly level: number;
  /** The name of a field or the index of an item; null at the top. */
  readonly name: string | null;
  readonly place: number;
  readonly siblings: number;
  readonly shape: "object" | "array" | "value" | "more";
  /** The text of a value, as JSON. Empty for containers. */
  readonly text: string;
  /** Of a container: its number of fields or items. Of a row for more: how many it would show. */
  readonly count: number;
  readonly isOpen: boolean;
  /** How many values are not shown because of this row. */
  readonly withheld: number;
}

/** Which containers are open, by pointer, and how many children each shows where it is not PAGE. */
export interface TreeState {
  readonly open: ReadonlySet<string>;
  readonly shown: ReadonlyMap<string, number>;
}

/** Number of children that a container shows at first. */
export const PAGE = 200;
/** Maximum number of rows to show at first. */
export const FIRST_ROWS = 200;
/** Maximum number of rows that "Expand" opens. Further rows can be opened one by one, or read as text. */
export const MOST_ROWS = 3_000;

/** The children of a container by name; undefined for other values. */
function childrenOf(value: Json): readonly (readonly [string, Json])[] | undefined {
  if (isObject(value)) return [...value];
  if (isArray(value)) return value.map((item, place) => [String(place), item]);
  return undefined;
}

/** The number of values below each container. Computed once for a value. */
type Sizes = ReadonlyMap<Json, number>;

export function sizesOf(root: Json): Sizes {
  const sizes = new Map<Json, number>();
  const size = (value: Json): number => {
    const children = childrenOf(value);
    if (children === undefined) return 0;
    const found = children.reduce((sum, [, child]) => sum + 1 + size(child), 0);
    sizes.set(value, found);
    return found;
  };
  size(root);
  return sizes;
}

/** A state with the containers open, level by level, while all rows together are at most `maximum`. */
export function openState(root: Json, maximum: number): TreeState {
  const open = new Set<string>();
  const shown = new Map<string, number>();
  let rows = 1;
  let level: (readonly [string, Json])[] = [["", root]];
  while (level.length > 0) {
    const next: (readonly [string, Json])[] = [];
    for (const [id, value] of level) {
      const children = childrenOf(value) ?? [];
      const count = Math.min(children.length, Math.max(PAGE, maximum - rows));
      if (count === 0 || (rows > 1 && rows + count > maximum)) continue;
      rows += count;
      open.add(id);
      if (count > PAGE) shown.set(id, count);
      for (const [name, child] of children.slice(0, count)) next.push([childPointer(id, name), child]);
    }
    level = next;
  }
  return { open, shown };
}

/** The rows that a state shows, from top to bottom. */
export function rowsOf(root: Json, state: TreeState, sizes: Sizes): readonly JsonRow[] {
  const rows: JsonRow[] = [];
  const visit = (
    value: Json,
    base: Pick<JsonRow, "id" | "parent" | "level" | "name" | "place" | "siblings">,
  ) => {
    const children = childrenOf(value);
    if (children === undefined) {
      rows.push({ ...base, shape: "value", text: format(value), count: 0, isOpen: false, withheld: 0 });
      return;
    }
    const isOpen = state.open.has(base.id);
    const shape = isObject(value) ? "object" : "array";
    const withheld = isOpen ? 0 : (sizes.get(value) ?? 0);
    rows.push({ ...base, shape, text: "", count: children.length, isOpen, withheld });
    if (!isOpen) return;
    const shown = Math.min(state.shown.get(base.id) ?? PAGE, children.length);
    const [level, parent] = [base.level + 1, base.id];
    const siblings = children.length;
    children.slice(0, shown).forEach(([name, child], place) => {
      visit(child, { id: childPointer(base.id, name), parent, level, name, place: place + 1, siblings });
    });
    const rest = children.slice(shown);
    if (rest.length === 0) return;
    const hidden = rest.reduce((sum, [, child]) => sum + 1 + (sizes.get(child) ?? 0), 0);
    const more = { id: `${base.id} more`, parent, level, name: null, place: shown + 1, siblings };
    rows.push({ ...more, shape: "more", text: "", count: rest.length, isOpen: false, withheld: hidden });
  };
  visit(root, { id: "", parent: "", level: 1, name: null, place: 1, siblings: 1 });
  return rows;
}

/** The state after a row was opened, closed, or asked for more. */
export function toggleRow(state: TreeState, row: JsonRow): TreeState {
  if (row.shape === "more") {
    const shown = (state.shown.get(row.parent) ?? PAGE) + 5 * PAGE;
    return { ...state, shown: new Map(state.shown).set(row.parent, shown) };
  }
  const open = new Set(state.open);
  if (!open.delete(row.id)) open.add(row.id);
  return { ...state, open };
}

/** The effect of a key, as in the ARIA practice for tree views: the row to focus or to toggle; null for other keys. */
export function keyEffect(
  rows: readonly JsonRow[],
  at: number,
  key: string,
): { readonly focus: number } | { readonly toggle: number } | null {
  const row = rows[at];
  if (row === undefined) return null;
  const isContainer = (row.shape === "object" || row.shape === "array") && row.count > 0;
  switch (key) {
    case "ArrowDown":
      return { focus: Math.min(at + 1, rows.length - 1) };
    case "ArrowUp":
      return { focus: Math.max(at - 1, 0) };
    case "Home":
      return { focus: 0 };
    case "End":
      return { focus: rows.length - 1 };
    case "ArrowRight":
      if (!isContainer) return null;
      return row.isOpen ? { focus: at + 1 } : { toggle: at };
    case "ArrowLeft": {
      if (isContainer && row.isOpen) return { toggle: at };
      const parent = rows.findIndex((each) => each.id === row.parent);
      return parent >= 0 && parent < at ? { focus: parent } : null;
    }
    case "Enter":
    case " ":
      return isContainer || row.shape === "more" ? { toggle: at } : null;
    default:
      return null;
  }
}

/** Replaces rows by the equal rows from before, so that only changed rows are rendered again. */
export function reuseRows(rows: readonly JsonRow[], before: readonly JsonRow[]): readonly JsonRow[] {
  const known = new Map(before.map((row) => [row.id, row]));
  return rows.map((row) => {
    const same = known.get(row.id);
    return same !== undefined && isEqual(row, same) ? same : row;
  });
}

function isEqual(row: JsonRow, other: JsonRow): boolean {
  return (Object.keys(row) as (keyof JsonRow)[]).every((name) => row[name] === other[name]);
}
