// The page's keys. Plain letters act only where no text is written; those that decide act only on the prompt itself.

import { t } from "../words";
import { choose, decide, goToChange, painted, presses, send } from "./deciding";
import { nameOf } from "./labels";
import {
  active,
  neighbour,
  leave as leaveToOthers,
  nextOpen,
  selectionNow,
  rowById,
  showWaiting,
  toggleChosen,
  arrangement,
  drawn,
  PAGE_ROWS,
} from "./list_state";
import { announce } from "./live";
import { pressed } from "./key_choices";
import { PROMPT_KEYS } from "./keys";
import { type Page, dialog } from "./page";
import { isPlain, isSend, takesText } from "./press";
import { decisionsOf, idOf, isOpen } from "./prompt_facts";
import { go, route } from "./route";
import { settings } from "./settings_store";
import { focusMoved } from "./steady";
import { openPalette, typeAhead } from "./typed_ahead";

/** Where the focus is. */
type Scope = "text" | "prompt" | "list" | "control" | "elsewhere";

function scopeOf(element: Element | null): Scope {
  if (element instanceof HTMLElement && takesText(element)) return "text";
  const place = route.peek().place;
  const selected = place.view === "prompt" ? place.promptId : "";
  if (element?.closest("[data-prompt]")) {
    return element.closest("button, a, summary, input, [role]:not(article)") === null ? "prompt" : "control";
  }
  const row = element?.closest("[data-row]")?.getAttribute("data-row");
  if (row !== undefined && row !== null)
    return row === selected && element?.matches("[data-open]") ? "prompt" : "list";
  return "elsewhere";
}

/** Whether letters that decide act here: on the prompt, or on a button of its pane that does not use them. */
function isOnPrompt(scope: Scope): boolean {
  return scope === "prompt" || scope === "control";
}

/** Start to listen. Returns a function that stops it. */
export function startKeyboard(page: Page): () => void {
  const down = (event: KeyboardEvent) => onKeyDown(page, event);
  const up = (event: KeyboardEvent) => onKeyUp(page, event);
  const blur = () => presses.clear();
  addEventListener("keydown", down);
  addEventListener("keyup", up);
  addEventListener("blur", blur);
  return () => {
    removeEventListener("keydown", down);
    removeEventListener("keyup", up);
    removeEventListener("blur", blur);
  };
}

function workHere(page: Page) {
  const at = painted.peek();
  if (at === null) return null;
  const row = page.inbox.rows.peek().get(at.promptId);
  const work = page.works.get(at.promptId);
  return row === undefined || work === undefined ? null : { row, work };
}

function onKeyDown(page: Page, event: KeyboardEvent): void {
  if (event.defaultPrevented) return;
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    if (dialog.peek() === null) openPalette();
    return;
  }
  if (dialog.peek() !== null) {
    typeAhead(event);
    return;
  }
  const element = document.activeElement;
  const scope = scopeOf(element);
  if (isSend(event) && element?.closest("[data-prompt]")) {
    const here = workHere(page);
    if (here === null) return;
    event.preventDefault();
    send(page, here.row, here.work, event.timeStamp);
    return;
  }
  if (event.key === "Escape") {
    leave(page, scope);
    return;
  }
  if (scope === "list" || (scope === "prompt" && element?.closest("[data-row]"))) {
    if (moveInList(event)) return;
  }
  if (scope === "text" || focusMoved.peek() || !settings.singleKeys.peek()) return;
  const command = pressed(event.key);
  if (command === undefined) return;
  if (command.does === "key.next" || command.does === "key.previous") {
    // Moving may repeat while the key is held: it decides nothing.
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move(command.does === "key.next" ? 1 : -1);
    return;
  }
  if (!isPlain(event)) return;
  if (PROMPT_KEYS.includes(command)) {
    if (!isOnPrompt(scope) || (event.key === "Enter" && !takesEnter(page, scope))) return;
    // The row's link would open its prompt again.
    if (event.key === "Enter" && element?.closest("[data-row]")) event.preventDefault();
    presses.down(`key ${event.key}`, painted.peek(), event.timeStamp);
  } else {
    event.preventDefault();
    if (command.does === "key.search") focusSearch();
    else if (command.does === "key.help") dialog.value = "help";
    else if (command.does === "key.skip") skip();
    else if (command.does === "key.change") goToChange();
  }
}

/**
 * Enter belongs to a button or a link that has the focus. The row of the open prompt has nothing to open any more: there it
 * begins an answer where the prompt asks for one, and else does nothing, as a letter that follows is meant for a decision.
 */
function takesEnter(page: Page, scope: Scope): boolean {
  if (scope !== "prompt") return false;
  if (document.activeElement?.closest("[data-row]") === null) return true;
  const here = workHere(page);
  return (
    here !== null && decisionsOf(here.work.shown.peek()).some((one) => one.decision === "DECISION_RESPOND")
  );
}

function onKeyUp(page: Page, event: KeyboardEvent): void {
  const stamp = presses.up(`key ${event.key}`, painted.peek());
  if (stamp === null || dialog.peek() !== null || !isOnPrompt(scopeOf(document.activeElement))) return;
  const here = workHere(page);
  if (here === null || !isOpen(here.row)) return;
  const command = pressed(event.key);
  if (command?.does === "key.comment") {
    document.getElementById("comment")?.focus();
    return;
  }
  const option = decisionsOf(here.work.shown.peek()).find((one) => one.decision === command?.decision);
  if (command?.does === "key.fill") {
    const field = document.querySelector<HTMLElement>(
      "[data-prompt] .form-box :is(input, textarea, select), #comment",
    );
    field?.focus();
    return;
  }
  if (option === undefined) {
    const names = decisionsOf(here.work.shown.peek()).map(nameOf);
    announce(t("key.not_offered", { key: event.key, names: names.join(", ") }));
    return;
  }
  if (option.decision === "DECISION_REVISE" || option.decision === "DECISION_EDIT") {
    // Both need a text, which Ctrl+Enter sends.
    if (!choose(page, here.row, here.work, option, stamp)) return;
    if (option.decision === "DECISION_REVISE") document.getElementById("comment")?.focus();
    else startEditing(here.work);
    return;
  }
  decide(page, here.row, here.work, option, stamp, "key");
}

function startEditing(work: { isEditing: { value: boolean } }): void {
  work.isEditing.value = true;
  requestAnimationFrame(() => {
    const field = document.querySelector<HTMLElement>(
      "[data-prompt] .part-edit textarea, [data-prompt] .form-box :is(input, textarea, select)",
    );
    field?.focus();
  });
}

/** Escape leads out of a text to the prompt, and from the prompt to its row. */
function leave(page: Page, scope: Scope): void {
  const here = workHere(page);
  if (here !== null && here.work.pending.peek() !== null) here.work.pending.value = null;
  if (scope === "text") {
    const pane = document.activeElement?.closest("[data-prompt]");
    const home = pane?.querySelector<HTMLElement>("#prompt-title") ?? rowLink(active.peek());
    home?.focus();
  } else if (isOnPrompt(scope) && route.peek().place.view === "prompt") {
    const place = route.peek().place;
    const link = place.view === "prompt" ? rowLink(place.promptId) : null;
    if (link !== null && link.offsetParent !== null) link.focus();
    else go({ view: "queue" });
  }
}

function rowLink(id: string): HTMLElement | null {
  return document.querySelector<HTMLElement>(`[data-open="${CSS.escape(id)}"]`);
}

/** Arrow keys move the list's tab stop; Space chooses the row for a bulk decision. */
function moveInList(event: KeyboardEvent): boolean {
  if (event.altKey || event.ctrlKey || event.metaKey || event.isComposing) return false;
  const ids = arrangement.peek().ids;
  const from = rowInFocus();
  const targets: Record<string, string | null | undefined> = {
    ArrowDown: neighbour(from, 1),
    ArrowUp: neighbour(from, -1),
    Home: ids[0],
    End: ids.slice(0, drawn.peek()).at(-1),
  };
  if (event.key === " " && document.activeElement?.matches("[data-open]")) {
    event.preventDefault();
    if (!event.repeat) toggleChosen(from);
    return true;
  }
  if (!(event.key in targets)) return false;
  event.preventDefault();
  const to = targets[event.key];
  if (to !== null && to !== undefined) focusRow(to);
  return true;
}

/** The row that has the focus, or the list's tab stop. */
function rowInFocus(): string {
  return document.activeElement?.closest("[data-row]")?.getAttribute("data-row") ?? active.peek();
}

function focusRow(id: string): void {
  const place = arrangement.peek().ids.indexOf(id);
  if (place >= drawn.peek()) drawn.value = Math.ceil((place + 1) / PAGE_ROWS) * PAGE_ROWS;
  active.value = id;
  const focus = () => rowLink(id)?.focus();
  if (rowLink(id) === null) requestAnimationFrame(focus);
  else focus();
}

/** Open the next or the previous row. The focus stays in the pane where it is. */
export function move(step: 1 | -1): void {
  const place = route.peek().place;
  const from = place.view === "prompt" ? place.promptId : rowInFocus();
  const to = place.view === "prompt" ? neighbour(from, step) : from === "" ? null : from;
  if (to === null) {
    if (step === 1 && arrangement.peek().added > 0) showWaiting();
    return;
  }
  open(to);
}

/** Leave this prompt to others, and open the next one that is open. */
export function skip(): void {
  const place = route.peek().place;
  const from = place.view === "prompt" ? place.promptId : "";
  leaveToOthers(from);
  const to = nextOpen(from);
  if (to === null) announce(t("next.none"));
  else open(to);
}

/** Open a prompt by a key: the focus goes to its row where the list has it, else to its title. */
export function open(id: string): void {
  const inList = document.activeElement?.closest(".queue") !== null;
  const isWanted = selectionNow()?.rows.some((row) => idOf(row.prompt) === id) === true;
  if (isWanted && !arrangement.peek().ids.includes(id)) showWaiting();
  go({ view: "prompt", promptId: id }, route.peek().place.view === "prompt" ? "replace" : "push");
  if (rowById(id) === undefined) return;
  if (inList) focusRow(id);
  else {
    active.value = id;
    requestAnimationFrame(() => document.getElementById("prompt-title")?.focus());
  }
}

export function focusSearch(): void {
  const { view } = route.peek().place;
  if (view === "people") {
    document.getElementById("people-search")?.focus();
    return;
  }
  if (view !== "queue" && matchMedia("(max-width: 799px)").matches) go({ view: "queue" });
  requestAnimationFrame(() => document.getElementById("search")?.focus());
}
