import type { ReadonlySignal } from "@preact/signals-core";

/** What a person typed and did not send. Secrets never enter a draft. */
export interface Draft {
  /** The inputs of the form as exact JSON text. */
  readonly values: string;
  readonly comment: string;
  /** Replacements of editable contents, by content id. */
  readonly edits: { readonly [contentId: string]: string };
  readonly decision?: string;
  /** Of the prompt, when the draft was written. A draft of another revision is offered, not filled in. */
  readonly revision: number;
  readonly version: string;
  /** Unix time in ms, by this machine's clock. Filled in by `save`. */
  readonly savedAt?: number;
}

/** The drafts of one person at one server. Each tab has its own: another one with the same prompt touches no text here. */
export interface Drafts {
  /** The draft of this tab, or else the newest of another one. */
  load(promptId: string): Promise<Draft | null>;
  /** Saves 300 ms after the last call, and when the page is hidden or left. */
  save(promptId: string, draft: Draft): void;
  /** Throws away what was typed in this tab. */
  discard(promptId: string): Promise<void>;
  /** Removes the drafts of all tabs: the answer was accepted. */
  remove(promptId: string): Promise<void>;
  /** The ids of prompts with a draft: for a mark in the queue, and the question at sign-out. */
  list(): Promise<readonly string[]>;
  /** Deletes all drafts of this person: at sign-out. */
  clear(): Promise<void>;
  /** Writes at once what waits: when the page is hidden or left. */
  flush(): void;
  /**
   * "full": the last write failed. "too_large": the last draft has more than 200 kB and was not saved. Say so once;
   * the next write is tried all the same.
   */
  readonly status: ReadonlySignal<"ok" | "full" | "too_large">;
}
