// The work on every prompt that was opened in this tab: it survives every change of the screen.

import type { Drafts } from "../model/drafts";
import type { Work } from "./work";

export class Works {
  readonly drafts: Drafts;
  readonly #all = new Map<string, Work>();

  constructor(drafts: Drafts) {
    this.drafts = drafts;
  }

  get(promptId: string): Work | undefined {
    return this.#all.get(promptId);
  }

  add(work: Work): void {
    this.#all.set(work.promptId, work);
  }

  /** The prompts with text that was typed in this tab and not sent. */
  unsent(): readonly string[] {
    return [...this.#all.values()].filter((work) => work.hasText).map((work) => work.promptId);
  }
}
