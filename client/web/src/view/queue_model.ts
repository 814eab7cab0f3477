// Which rows the queue shows, in which order and groups. Pure functions; the screen calls them.

import type { Row } from "../model/inbox";
import type { Prompt } from "../wire/messages";
import { meetsAll } from "./conditions";
import {
  claimant,
  endsSoon,
  idOf,
  instant,
  isClaimedByOther,
  isMine,
  isOpen,
  priorityOf,
  requesterOf,
} from "./prompt_facts";
import { isRecord, type Order, type Query, type View } from "./query";

/** Who looks, and when (milliseconds of the server's clock). */
interface Viewer {
  readonly subject: string;
  readonly now: number;
}

/** Whether an open prompt belongs to a view. `decided` has a list of its own, and `closed` has no open prompt. */
function inView(prompt: Prompt, view: View, viewer: Viewer): boolean {
  if (view === "mine") return isMine(prompt, viewer.subject, viewer.now);
  if (view === "unclaimed") return claimant(prompt, viewer.now) === "";
  return view !== "closed";
}

interface Sorting {
  readonly created: number;
  readonly expires: number;
  text: string | undefined;
  readonly ids: string;
}

const NEVER = Number.POSITIVE_INFINITY;
/** What the order and the search need of each prompt: read once, because 10,000 rows are sorted at each change. */
const known = new WeakMap<Prompt, Sorting>();

function sortingOf(prompt: Prompt): Sorting {
  const found = known.get(prompt);
  if (found !== undefined) return found;
  const made: Sorting = {
    created: instant(prompt.createTime) ?? 0,
    expires: instant(prompt.expireTime) ?? NEVER,
    text: undefined,
    ids: `${prompt.promptId ?? ""}\n${prompt.jobId ?? ""}`,
  };
  known.set(prompt, made);
  return made;
}

function searchText(prompt: Prompt): string {
  const sorting = sortingOf(prompt);
  sorting.text ??= makeSearchText(prompt);
  return sorting.text;
}

/** Letters as a search compares them: in any case, and in either of the two forms that accents have. */
function folded(text: string): string {
  return text.normalize("NFKC").toLocaleLowerCase();
}

/** The fewest characters of an id that find it. Any digit is in many ids, so a short word would find all prompts. */
const ID_PART = 8;

function makeSearchText(prompt: Prompt): string {
  const content = prompt.content;
  const labels = Object.entries(content?.labels ?? {}).map(([name, value]) => `${name}=${value}`);
  const parts = [
    content?.title,
    content?.kind,
    prompt.jobType,
    prompt.requestedBy,
    prompt.key,
    prompt.claimedBy,
  ];
  return folded([...parts, ...labels, content?.body].join("\n"));
}

/** Whether a prompt passes the search and the filters. Every word of the search must be found. */
export function passes(prompt: Prompt, query: Query): boolean {
  const { kinds, types, labels } = query;
  if (kinds.length > 0 && !kinds.includes(prompt.content?.kind ?? "")) return false;
  if (types.length > 0 && !types.includes(prompt.jobType ?? "")) return false;
  if (!meetsAll(prompt.content?.labels, labels)) return false;
  const words = folded(query.search)
    .split(/\s+/)
    .filter((word) => word !== "");
  if (words.length === 0) return true;
  const text = searchText(prompt);
  const { ids } = sortingOf(prompt);
  return words.every((word) => text.includes(word) || (word.length >= ID_PART && ids.includes(word)));
}

type Compare = (one: Prompt, other: Prompt) => number;

const byAge: Compare = (one, other) => sortingOf(one).created - sortingOf(other).created;
const byDeadline: Compare = (one, other) => {
  const [near, far] = [sortingOf(one).expires, sortingOf(other).expires];
  return near === far ? 0 : near - far;
};
const byPriority: Compare = (one, other) => priorityOf(other) - priorityOf(one);
/** The last word, so that the order is the same on every screen. */
const byId: Compare = (one, other) => (idOf(one) < idOf(other) ? -1 : idOf(one) > idOf(other) ? 1 : 0);

const ORDERS: Record<Order, readonly Compare[]> = {
  // Before these rules comes what ends within minutes: see `comparison`.
  urgent: [byPriority, byDeadline, byAge],
  deadline: [byDeadline, byPriority, byAge],
  oldest: [byAge],
  newest: [(one, other) => byAge(other, one)],
  priority: [byPriority, byAge],
};

/** The order of two prompts at a time: negative where `one` comes first. */
export function comparison(order: Order, at: number): Compare {
  const isNear = (prompt: Prompt) => endsSoon(sortingOf(prompt).expires, at);
  const byEnd: Compare = (one, other) => {
    const [near, far] = [isNear(one), isNear(other)];
    if (near && far) return byDeadline(one, other);
    return Number(far) - Number(near);
  };
  const rules = [...(order === "urgent" ? [byEnd] : []), ...ORDERS[order], byId];
  return (one, other) => {
    for (const rule of rules) {
      const found = rule(one, other);
      if (found !== 0) return found;
    }
    return 0;
  };
}

export interface Selection {
  /** The rows to list, in order. */
  readonly rows: readonly Row[];
  /** How many open prompts each view has, after the filters. */
  readonly counts: Readonly<Record<Exclude<View, "decided" | "closed">, number>>;
  /** How many open prompts of this view the filters leave out. */
  readonly filtered: number;
  /** The open prompts of this view that end within minutes and that no other person has claimed, the first to end first. */
  readonly ending: readonly Prompt[];
  /** How many open prompts pass the filters and are in no list because others have claimed them. */
  readonly claimedByOthers: number;
}

/** The open prompts of a view that pass the filters, in order, with the counts that the page shows. */
export function select(all: Iterable<Row>, query: Query, viewer: Viewer): Selection {
  const rows: Row[] = [];
  const counts = { all: 0, mine: 0, unclaimed: 0 };
  let filtered = 0;
  let claimedByOthers = 0;
  const ending: Prompt[] = [];
  for (const row of all) {
    if (!isOpen(row)) {
      if (query.view !== "closed" || row.closed === undefined) continue;
      if (passes(row.prompt, query)) rows.push(row);
      else filtered += 1;
      continue;
    }
    const here = inView(row.prompt, query.view, viewer);
    if (here && isEndingFor(row.prompt, viewer)) ending.push(row.prompt);
    if (!passes(row.prompt, query)) {
      if (here) filtered += 1;
      continue;
    }
    counts.all += 1;
    if (inView(row.prompt, "mine", viewer)) counts.mine += 1;
    if (inView(row.prompt, "unclaimed", viewer)) counts.unclaimed += 1;
    if (here) rows.push(row);
    else if (isClaimedByOther(row.prompt, viewer.subject, viewer.now)) claimedByOthers += 1;
  }
  const compare = comparison(query.order, viewer.now);
  // What closed, the last first. Open prompts have no such time.
  const newest = (one: Row, other: Row) => (other.closed?.at ?? 0) - (one.closed?.at ?? 0);
  rows.sort((one, other) => newest(one, other) || compare(one.prompt, other.prompt));
  ending.sort(byDeadline);
  const together = isRecord(query.view) ? rows : inGroups(rows, similarOf);
  const listed = query.group === "" ? together : inGroups(together, factOf(query.group));
  return { rows: listed, counts, filtered, ending, claimedByOthers };
}

function isEndingFor(prompt: Prompt, viewer: Viewer): boolean {
  return (
    !isClaimedByOther(prompt, viewer.subject, viewer.now) && endsSoon(sortingOf(prompt).expires, viewer.now)
  );
}

export interface Group {
  /** Empty: a row without the label, or a queue without groups. */
  readonly name: string;
  readonly ids: readonly string[];
}

/** The group of a row: by a fact of its prompt, or by the words for the time of its end. */
export type GroupOf = (row: Row | undefined) => string;

/** Groups by a fact of the prompt. */
export function factOf(by: string): GroupOf {
  return (row) => groupName(row?.prompt, by);
}

function groupName(prompt: Prompt | undefined, by: string): string {
  if (prompt === undefined) return "";
  if (by === "type") return prompt.jobType ?? "";
  if (by === "kind") return prompt.content?.kind ?? "";
  if (by === "requester") return requesterOf(prompt);
  if (by.startsWith("label:")) return prompt.content?.labels?.[by.slice("label:".length)] ?? "";
  return "";
}

/** The group key of a row, which similar questions share. A row without one is similar to none. */
function similarOf(row: Row | undefined): string {
  return row?.prompt.content?.groupKey || `\n${idOf(row?.prompt ?? {})}`;
}

/** Rows with the same group key that stand together on the screen. */
export interface Similar {
  readonly name: string;
  readonly first: string;
  /** Those of them that are open. */
  readonly open: readonly string[];
  readonly isActive: boolean;
}

/** By the id of each row that is one of several similar ones. `active` is the row that has the tab stop. */
export function similarRows(
  ids: readonly string[],
  rows: ReadonlyMap<string, Row>,
  active: string,
): ReadonlyMap<string, Similar> {
  const found = new Map<string, Similar>();
  for (let from = 0, to = 0; from < ids.length; from = to) {
    const name = similarOf(rows.get(ids[from] ?? ""));
    for (to = from + 1; to < ids.length && similarOf(rows.get(ids[to] ?? "")) === name; ) to += 1;
    if (to - from < 2) continue;
    const run = ids.slice(from, to);
    const open = run.filter((id) => {
      const row = rows.get(id);
      return row !== undefined && isOpen(row);
    });
    const similar = { name, first: run[0] ?? "", open, isActive: run.includes(active) };
    for (const id of run) found.set(id, similar);
  }
  return found;
}

/** The rows in the order of the screen, so that keys go from one to the next that is seen. */
function inGroups(rows: readonly Row[], nameOf: GroupOf): readonly Row[] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const name = nameOf(row);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [row]);
    else group.push(row);
  }
  return [...groups.values()].flat();
}

/** How many open prompts each group of a list has, by its name: also those that are not drawn yet. */
export function groupSizes(
  ids: readonly string[],
  rowOf: (id: string) => Row | undefined,
  by: string,
): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const id of ids) {
    const row = rowOf(id);
    if (row === undefined || !isOpen(row)) continue;
    const name = groupName(row.prompt, by);
    sizes.set(name, (sizes.get(name) ?? 0) + 1);
  }
  return sizes;
}

/** The ids in groups, each group where its first row stood; one group without a name where `groupOf` is null. */
export function grouped(
  ids: readonly string[],
  rows: ReadonlyMap<string, Row>,
  groupOf: GroupOf | null,
): readonly Group[] {
  if (groupOf === null) return [{ name: "", ids }];
  const groups = new Map<string, string[]>();
  for (const id of ids) {
    const name = groupOf(rows.get(id));
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [id]);
    else group.push(id);
  }
  return [...groups].map(([name, members]) => ({ name, ids: members }));
}
