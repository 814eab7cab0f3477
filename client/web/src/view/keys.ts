// The keys of the page: the letters are those of the terminal consoles (askback.terminal.keys), which a test compares.

import type { LaterKey } from "../words";
import type { Decision } from "../wire/messages";

export interface PageKey {
  readonly key: string;
  readonly does: LaterKey;
  /** The decision that the key makes, if any. */
  readonly decision?: Decision;
}

/** Keys that act on the prompt, where the focus is on it. */
export const PROMPT_KEYS: readonly PageKey[] = [
  { key: "a", does: "key.approve", decision: "DECISION_ACCEPT" },
  { key: "e", does: "key.edit", decision: "DECISION_EDIT" },
  { key: "r", does: "key.reject", decision: "DECISION_REJECT" },
  { key: "v", does: "key.revise", decision: "DECISION_REVISE" },
  { key: "d", does: "key.dismiss", decision: "DECISION_DISMISS" },
  { key: "Enter", does: "key.fill", decision: "DECISION_RESPOND" },
  { key: "c", does: "key.comment" },
];

/** Keys that act wherever no text is written. */
export const PAGE_KEYS: readonly PageKey[] = [
  { key: "s", does: "key.skip" },
  { key: "j", does: "key.next" },
  { key: "k", does: "key.previous" },
  { key: "n", does: "key.change" },
  { key: "/", does: "key.search" },
  { key: "?", does: "key.help" },
];

/** Keys with a modifier or without a letter, which stay on when single keys are off. */
export const OTHER_KEYS: readonly PageKey[] = [
  { key: "Ctrl+Enter", does: "key.send" },
  { key: "Ctrl+K", does: "key.palette" },
  { key: "Space", does: "key.choose" },
  { key: "Esc", does: "key.escape" },
];
