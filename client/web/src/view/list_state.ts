// The list on the screen: which rows in which order, and what waits while a person is in the list.

import { computed, effect, signal } from "@preact/signals";
import type { Inbox, Row } from "../model/inbox";
import type { Decision, Prompt } from "../wire/messages";
import { type Arrangement, arrange } from "./arrangement";
import { corrects, idOf, isClaimedByOther, isOpen, waitsFor } from "./prompt_facts";
import { isRecord, type Query, type View } from "./query";
import { comparison, passes, type Selection, select } from "./queue_model";
import { route } from "./route";
import { halfMinute } from "./times";

/** How many rows a page of the list has; more come on demand. */
export const PAGE_ROWS = 200;

const EMPTY: Arrangement = { ids: [], added: 0, urgent: 0, moved: false };

export const arrangement = signal<Arrangement>(EMPTY);
/** How many rows are drawn. */
export const drawn = signal(PAGE_ROWS);
/** The row that has the list's tab stop. */
export const active = signal("");
/** The rows that were chosen for a bulk decision, by id. */
export const chosen = signal<ReadonlySet<string>>(new Set());

interface JointDecision {
  readonly prompts: readonly Prompt[];
  readonly decision: Decision | null;
  readonly comment: string;
  /** The prompts that an answer was sent to; the others were left out. */
  readonly sent: ReadonlySet<string>;
}

/** The last joint decision that was sent, for its results. */
export const jointDecision = signal<JointDecision | null>(null);

/** What ended, newest first, as far as it was read. */
export interface Ended {
  readonly rows: readonly Row[];
  /** How many the service has; negative: it does not count them. */
  readonly total: number;
  /** The token of the next part; empty: there is none. */
  readonly next: string;
}

/** The views `decided` and `closed` read it from the service. */
export const ended = signal<Ended>({ rows: [], total: 0, next: "" });
const endedById = computed(() => new Map(ended.value.rows.map((row) => [idOf(row.prompt), row])));

/** Pointer or focus is in the list. */
const pointerInside = signal(false);
const focusInside = signal(false);
/** A finger does not hover: a list under it never moves by itself. */
const touchOnly = typeof matchMedia === "function" && matchMedia("(hover: none)").matches;

export const held = computed(() => touchOnly || pointerInside.value || focusInside.value);

export function setPointerInside(inside: boolean): void {
  pointerInside.value = inside;
}

export function setFocusInside(inside: boolean): void {
  focusInside.value = inside;
}

interface Followed {
  readonly inbox: Inbox;
  readonly subject: string;
}

const followed = signal<Followed | null>(null);
const selection = computed<Selection | null>(() => {
  if (followed.value === null) return null;
  const { inbox, subject } = followed.value;
  halfMinute.value;
  return select(inbox.rows.value.values(), route.value.query, { subject, now: inbox.now() });
});
let clock: () => number = () => 0;
let isFree: (prompt: Prompt) => boolean = () => true;
let rowsNow: () => ReadonlyMap<string, Row> = () => new Map();
let takeFresh = false;

/** The open prompts of the view that pass the filters, whether they are on the screen or wait. */
export function selectionNow(): Selection | null {
  return selection.value;
}

/** Rows by id: those of the inbox, and those of a view of what ended. */
export function rowById(id: string): Row | undefined {
  return rowsNow().get(id) ?? endedById.value.get(id);
}

/** Follow the inbox. Returns a function that stops it. */
export function startList(inbox: Inbox, subject: string): () => void {
  rowsNow = () => inbox.rows.value;
  clock = () => inbox.now();
  isFree = (prompt) =>
    !isClaimedByOther(prompt, subject, inbox.now()) && waitsFor(prompt, { ...inbox.session.peek(), subject });
  followed.value = { inbox, subject };
  let query: Query | undefined;
  let wasLive = false;
  let wasAt = route.peek().place.view;
  return effect(() => {
    const now = route.value.query;
    const found = selection.value;
    // A person who comes back to the list by themselves sees it as it is: a touch screen always holds it.
    const at = route.value.place.view;
    const isBack = at === "queue" && wasAt !== "queue";
    wasAt = at;
    const isSame = query === now;
    const isHeld = held.value && wasLive && !takeFresh && !isBack && isSame;
    wasLive = wasLive || inbox.link.value === "live";
    if (found === null) return;
    if (!isSame) drawn.value = PAGE_ROWS;
    query = now;
    takeFresh = false;
    // What the service has listed only grows at its end, so nothing of it has to be held.
    const older = isRecord(now.view) ? olderIds(now) : [];
    const fresh = now.view === "decided" ? [] : found.rows;
    const before = arrangement.peek().ids;
    const live = isRecord(now.view) ? before.filter((id) => isLive(now.view, id)) : before;
    const place = route.value.place;
    const isPrompt = place.view === "prompt";
    // What a search or another view leaves out is no row of it, also while it is open beside the list.
    const pinned = new Set(isSame && isPrompt ? [place.promptId] : []);
    const arranged = arrange(live, fresh, isHeld && before.length > 0, pinned, inbox.now());
    arrangement.value = { ...arranged, ids: [...arranged.ids, ...older] };
    const ids = arrangement.peek().ids;
    // Until a person goes to a row, the tab stop is the first row of the list as it is, not as it once came.
    const isFirst = active.peek() === (before[0] ?? "") && !isHeld && !focusInside.peek() && !isPrompt;
    if (isFirst || !ids.includes(active.peek())) active.value = ids[0] ?? "";
  });
}

/** Whether a row of a view of what ended comes from the inbox: it closed while this page was open. */
function isLive(view: View, id: string): boolean {
  return view === "closed" && rowsNow().has(id);
}

/** What the service has listed and the inbox does not have. */
function olderIds(query: Query): readonly string[] {
  return ended.value.rows
    .filter((row) => passes(row.prompt, query) && !isLive(query.view, idOf(row.prompt)))
    .map((row) => idOf(row.prompt));
}

/** Show the new and moved rows that wait. */
export function showWaiting(): void {
  takeFresh = true;
  // A new route object makes the effect run; the address stays.
  route.value = { ...route.peek() };
}

/** How many open prompts the list shows. The number beside the view's name is this one. */
export function listedCount(): number {
  const { view, search } = route.value.query;
  // The service counts what it has; the words of a search are looked for in what was read.
  if (view === "closed") return arrangement.value.ids.length;
  if (view === "decided") return search === "" ? ended.value.total : arrangement.value.ids.length;
  const rows = rowsNow();
  return arrangement.value.ids.filter((id) => {
    const row = rows.get(id);
    return row !== undefined && isOpen(row);
  }).length;
}

/** The prompts that this person has skipped, the last one at the end: they come again after all others. */
const skipped = new Set<string>();

/** The person leaves a prompt to others. */
export function leave(id: string): void {
  skipped.delete(id);
  skipped.add(id);
}

/**
 * The first prompt other than `id`, in the order of the list, that this person may answer; null: none is left. Before
 * all others comes the prompt that asks `id` again, because its answer was not accepted.
 */
export function nextOpen(id: string): string | null {
  const free = (selection.value?.rows ?? [])
    .filter((row) => isOpen(row) && isFree(row.prompt) && idOf(row.prompt) !== id)
    .map((row) => row.prompt);
  const last = rowById(id)?.prompt;
  const again = free.find((prompt) => last !== undefined && corrects(prompt, last));
  if (again !== undefined) return idOf(again);
  const others = new Set(free.map(idOf));
  const fresh = [...others].find((one) => !skipped.has(one));
  return fresh ?? [...skipped].find((one) => others.has(one)) ?? null;
}

/** The row `step` places after `id` in the list; the first one where `id` is not listed. */
export function neighbour(id: string, step: 1 | -1): string | null {
  const ids = arrangement.value.ids;
  const place = ids.indexOf(id);
  if (place < 0) return ids[0] ?? null;
  return ids[place + step] ?? null;
}

/** Choose a row for a bulk decision, or leave it out again. */
export function toggleChosen(id: string): void {
  const next = new Set(chosen.peek());
  if (!next.delete(id)) next.add(id);
  chosen.value = next;
}

/** Other open prompts of the same job, in the usual order. */
export function siblings(prompt: Prompt): readonly Prompt[] {
  const compare = comparison("urgent", clock());
  return [...rowsNow().values()]
    .filter((row) => isOpen(row) && row.prompt.jobId === prompt.jobId && idOf(row.prompt) !== idOf(prompt))
    .map((row) => row.prompt)
    .sort(compare);
}
