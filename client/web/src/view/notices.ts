// What the page says without being looked at: the number in the title, and the announcements of new prompts.

import { effect } from "@preact/signals";
import type { Inbox } from "../model/inbox";
import { t } from "../words";
import { announce } from "./live";
import { instant, isOpen, isUrgent } from "./prompt_facts";
import { route } from "./route";
import { second } from "./times";

const MINUTE = 60_000;
/** How long before a deadline it is spoken, once each, for the prompt on the screen. */
const SPOKEN = [5 * MINUTE, MINUTE] as const;

/** Follow the inbox. Returns a function that stops it. Effects run with the frame, also in a hidden tab. */
export function startNotices(inbox: Inbox): () => void {
  let known: ReadonlySet<string> | null = null;
  const stopRows = effect(() => {
    const open = [...inbox.rows.value.values()].filter(isOpen);
    document.title = open.length === 0 ? t("app.name") : t("app.title", { n: open.length });
    if (inbox.link.value !== "live") return;
    const before = known;
    known = new Set(open.map((row) => row.prompt.promptId ?? ""));
    if (before === null) return;
    const added = open.filter((row) => !before.has(row.prompt.promptId ?? ""));
    if (added.length === 0) return;
    const urgent = added.filter((row) => isUrgent(row.prompt, inbox.now())).length;
    announce(
      urgent > 0 ? t("live.new.urgent", { n: added.length, urgent }) : t("live.new", { n: added.length }),
    );
  });
  const spoken = new Set<string>();
  const stopClock = effect(() => {
    second.value;
    const place = route.value.place;
    if (place.view !== "prompt" || inbox.link.value !== "live") return;
    const row = inbox.rows.peek().get(place.promptId);
    const deadline = instant(row?.prompt.expireTime);
    if (row === undefined || deadline === undefined || !isOpen(row)) return;
    const left = deadline - inbox.now();
    for (const mark of SPOKEN) {
      const name = `${place.promptId} ${mark}`;
      if (left > mark || left < mark - 10_000 || spoken.has(name)) continue;
      spoken.add(name);
      announce(t("live.deadline", { n: mark / MINUTE }));
    }
  });
  return () => {
    stopRows();
    stopClock();
  };
}
