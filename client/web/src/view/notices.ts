// What the page says without being looked at: the number in the title and on the icon, the announcements of new
// prompts, and notifications where the person wants them. It runs with the frames, because a hidden page draws nothing.

import { effect } from "@preact/signals";
import { openHints } from "../model/hints";
import type { Row } from "../model/inbox";
import { t } from "../words/later";
import { Alerts } from "./alerts";
import { Arrivals } from "./arrivals";
import { announce } from "./live";
import { oneLine } from "./one_line";
import { type Page, subjectOf } from "./page";
import { instant, isOpen, isUrgent } from "./prompt_facts";
import { route } from "./route";
import { settings } from "./settings_store";
import { MINUTE, second } from "./times";

/** How long before a deadline it is spoken, once each, for the prompt on the screen. */
const SPOKEN = [5 * MINUTE, MINUTE] as const;
/** The most characters of a question in the title of the tab. */
const TITLE_LENGTH = 80;

/** Whether the person looks at this tab, as far as a browser can tell. */
function isLookedAt(): boolean {
  return document.visibilityState === "visible" && document.hasFocus();
}

/** The id of the prompt on the screen; empty: none is. */
function shownId(): string {
  const { place } = route.peek();
  return place.view === "prompt" ? place.promptId : "";
}

let badge = -1;

/** The number on the icon of an installed page, where the system has that; 0: none. */
function showBadge(n: number): void {
  if (n === badge) return;
  badge = n;
  const { setAppBadge } = navigator as { readonly setAppBadge?: Navigator["setAppBadge"] };
  void setAppBadge?.call(navigator, n).catch(() => {});
}

/** Follow the inbox. `known` are the prompts of the first live view; null: it comes. Returns a function that stops it. */
export function startNotices(page: Page, known: ReadonlySet<string> | null): () => void {
  const { inbox } = page;
  const arrivals = new Arrivals(known);
  const hints = openHints();
  const gone = new AbortController();
  const { signal } = gone;
  const alerts = new Alerts(arrivals, inbox);

  /** Write the title of the tab. Returns how many prompts are open. */
  const title = (): number => {
    const open = [...inbox.rows.peek().values()].filter(isOpen);
    const n = open.length;
    const shown = open.find((row) => row.prompt.promptId === shownId())?.prompt ?? arrivals.unseen.at(-1);
    const what = settings.titles.value ? oneLine(shown?.content?.title ?? "", TITLE_LENGTH) : "";
    document.title =
      n === 0 ? t("app.name") : what === "" ? t("app.title", { n }) : t("app.title.what", { n, what });
    return n;
  };
  const tell = (added: readonly Row[]) => {
    if (added.length === 0) return;
    const urgent = added.filter((row) => isUrgent(row.prompt, inbox.now())).length;
    announce(
      urgent > 0 ? t("live.new.urgent", { n: added.length, urgent }) : t("live.new", { n: added.length }),
    );
  };
  const see = () => {
    arrivals.see();
    alerts.changed();
    title();
  };
  const look = () => {
    alerts.look(isLookedAt());
    if (!isLookedAt()) return;
    hints.send({ kind: "seen" });
    see();
  };
  const take = (isLive: boolean) => {
    const added = arrivals.take(inbox.rows.peek(), isLive, {
      ...inbox.session.peek(),
      subject: subjectOf(page),
      now: inbox.now(),
    });
    if (isLookedAt()) arrivals.see();
    else if (document.visibilityState === "visible") arrivals.seeOne(shownId());
    const n = title();
    if (isLive) showBadge(n);
    tell(added);
    alerts.changed();
  };
  document.addEventListener("visibilitychange", look, { signal });
  addEventListener("focus", look, { signal });
  addEventListener("blur", look, { signal });
  const stops = [
    inbox.follow(take),
    hints.listen((hint) => {
      if (hint.kind === "seen") see();
    }),
    effect(() => {
      route.value;
      title();
    }),
    startDeadlines(page),
  ];
  alerts.look(isLookedAt());
  take(inbox.link.peek() === "live");
  return () => {
    gone.abort();
    for (const stop of stops) stop();
    hints.close();
    alerts.close();
    document.title = t("app.name");
    showBadge(0);
  };
}

/** Speak the last minutes of the prompt on the screen. */
function startDeadlines({ inbox }: Page): () => void {
  const spoken = new Set<string>();
  return effect(() => {
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
}
