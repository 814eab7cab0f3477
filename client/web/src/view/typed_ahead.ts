// What is typed for the command palette before it is drawn: its code loads when it is first opened.

import { dialog } from "./page";

interface Typed {
  readonly text: string;
  /** Whether Enter was pressed after the text. */
  readonly isEntered: boolean;
}

const NOTHING: Typed = { text: "", isEntered: false };
let typed = NOTHING;

/** Open the palette. */
export function openPalette(): void {
  typed = NOTHING;
  dialog.value = "palette";
}

/** Keep a key that was pressed while a dialog is open, if that is the palette and it has no focus yet. */
export function typeAhead(event: KeyboardEvent): void {
  if (dialog.peek() !== "palette" || document.activeElement?.closest("dialog") || typed.isEntered) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Enter") typed = { ...typed, isEntered: true };
  else if (event.key === "Backspace") typed = { ...typed, text: typed.text.slice(0, -1) };
  else if (event.key.length === 1) typed = { ...typed, text: typed.text + event.key };
  else return;
  event.preventDefault();
}

/** Return what was typed, and forget it. */
export function takeTyped(): Typed {
  const taken = typed;
  typed = NOTHING;
  return taken;
}
