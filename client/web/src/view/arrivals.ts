// Which open prompts are new to the person: they came while the page was live, or while it caught up.

import type { Row } from "../model/inbox";
import type { Prompt } from "../wire/messages";
import { decisionsOf, idOf, isClaimedByOther, isExcluded, isOpen } from "./prompt_facts";

interface Viewer {
  readonly subject: string;
  readonly groups?: readonly string[];
  /** Milliseconds of the server's clock. */
  readonly now: number;
}

/** Whether a person can answer it now: others' claims and an exclusion stand in the way. */
function isActionable(row: Row, viewer: Viewer): boolean {
  const { prompt } = row;
  const canBeAnswered = isOpen(row) && decisionsOf(prompt).length > 0 && !isExcluded(prompt, viewer);
  return canBeAnswered && !isClaimedByOther(prompt, viewer.subject, viewer.now);
}

export class Arrivals {
  /** The open prompts of the last live view; null before the first one, which is no news. */
  #known: ReadonlySet<string> | null = null;
  readonly #unseen = new Map<string, Prompt>();

  constructor(known: ReadonlySet<string> | null = null) {
    this.#known = known;
  }

  /**
   * Take the rows as a frame has left them. `isLive` is false while the view catches up: what is missing is counted
   * when it is complete. Returns the prompts that are new since the last live view.
   */
  take(rows: ReadonlyMap<string, Row>, isLive: boolean, viewer: Viewer): readonly Row[] {
    let added: readonly Row[] = [];
    if (isLive) {
      const before = this.#known;
      const open = [...rows.values()].filter(isOpen);
      this.#known = new Set(open.map((row) => idOf(row.prompt)));
      if (before !== null) added = open.filter((row) => !before.has(idOf(row.prompt)));
    }
    for (const row of added) this.#unseen.set(idOf(row.prompt), row.prompt);
    for (const id of [...this.#unseen.keys()]) {
      const row = rows.get(id);
      if (row === undefined || !isActionable(row, viewer)) this.#unseen.delete(id);
      else this.#unseen.set(id, row.prompt);
    }
    return added;
  }

  /** The new prompts that the person has not seen and can answer, oldest first. */
  get unseen(): readonly Prompt[] {
    return [...this.#unseen.values()];
  }

  /** The person looks at the page: it shows all of them. */
  see(): void {
    this.#unseen.clear();
  }

  /** The person has this prompt on the screen. */
  seeOne(id: string): void {
    this.#unseen.delete(id);
  }
}
