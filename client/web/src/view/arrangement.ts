// Which rows stand where on the screen after a change: none moves while a person is in the list.

import type { Row } from "../model/inbox";
import { idOf, isUrgent } from "./prompt_facts";

export interface Arrangement {
  /** The ids on the screen, in their order. */
  readonly ids: readonly string[];
  /** How many new prompts wait behind the button. */
  readonly added: number;
  /** How many of them are urgent. */
  readonly urgent: number;
  /** Whether rows would move. */
  readonly moved: boolean;
}

/**
 * The ids on the screen after a change of the rows.
 *
 * `held`: a person is in the list, so no row may move; new rows wait. Otherwise the fresh order is taken, and only
 * the rows in `pinned` (the selected one, the focused one) stay although they have left the view.
 */
export function arrange(
  before: readonly string[],
  fresh: readonly Row[],
  held: boolean,
  pinned: ReadonlySet<string>,
  at: number,
): Arrangement {
  const wanted = fresh.map((row) => idOf(row.prompt));
  if (!held) return { ids: keepPinned(before, wanted, pinned), added: 0, urgent: 0, moved: false };
  const present = new Set(before);
  const added = fresh.filter((row) => !present.has(idOf(row.prompt)));
  const wantedSet = new Set(wanted);
  const stay = before.filter((id) => wantedSet.has(id));
  const order = wanted.filter((id) => present.has(id));
  return {
    ids: before,
    added: added.length,
    urgent: added.filter((row) => isUrgent(row.prompt, at)).length,
    moved: stay.some((id, index) => id !== order[index]),
  };
}

/** The wanted ids, with each pinned one that is missing behind the row that it stood behind. */
function keepPinned(
  before: readonly string[],
  wanted: readonly string[],
  pinned: ReadonlySet<string>,
): readonly string[] {
  const missing = before.filter((id) => pinned.has(id) && !wanted.includes(id));
  if (missing.length === 0) return wanted;
  const ids = [...wanted];
  for (const id of missing) {
    let place = 0;
    for (let index = before.indexOf(id) - 1; index >= 0; index -= 1) {
      const found = ids.indexOf(before[index] ?? "");
      if (found >= 0) {
        place = found + 1;
        break;
      }
    }
    ids.splice(place, 0, id);
  }
  return ids;
}
