// When people are away: the calls, what the page has read, and the words for it.

import { effect, signal, untracked } from "@preact/signals";
import type { Inbox } from "../model/inbox";
import type { Absence } from "../wire/messages";
import { t } from "../words/later";
import { awayText, type Page, subjectOf } from "./page";
import { instant } from "./prompt_facts";
import { clock, halfMinute } from "./times";

/** The absences that are not over, as they were read last: of this person, and for admins of others too. */
export const absences = signal<readonly Absence[]>([]);

/** How many absences are read at once, and at most how often. */
const PAGE = 500;
const PAGES = 20;
/** After how many half minutes a page that is open reads the person's own again: an admin may have set one. */
const BEATS = 10;

/** Read the absences that are not over; with an empty subject those of all people. Rejects with CallError. */
export async function readAbsences(inbox: Inbox, subject: string): Promise<void> {
  const found: Absence[] = [];
  let pageToken = "";
  for (let n = 0; n < PAGES; n += 1) {
    const reply = await inbox.call("PolicyService/ListAbsences", { subject, pageSize: PAGE, pageToken });
    found.push(...(reply.absences ?? []));
    pageToken = reply.nextPageToken ?? "";
    if (pageToken === "") break;
  }
  const others = subject === "" ? [] : absences.peek().filter((one) => one.subject !== subject);
  absences.value = [...others, ...found];
}

/** Take an absence that was set or ended in this page. */
export function learnAbsence(absence: Absence | undefined): void {
  if (absence === undefined) return;
  const others = absences.peek().filter((one) => one.absenceId !== absence.absenceId);
  absences.value = [...others, absence];
}

/** How far the page's clock may be behind the service's, in milliseconds: what begins or ends now does so at once. */
const SLACK = 5_000;

/** The absences of a person that are not over at a time, the first first. */
export function absencesOf(all: readonly Absence[], subject: string, at: number): readonly Absence[] {
  const begin = (one: Absence) => instant(one.fromTime) ?? 0;
  return all
    .filter(
      (one) => one.subject === subject && (instant(one.untilTime) ?? 0) > Math.max(at + SLACK, begin(one)),
    )
    .sort((one, other) => begin(one) - begin(other));
}

/** Whether a person is away at a time. */
export function holds(absence: Absence, at: number): boolean {
  const now = at + SLACK;
  return (instant(absence.fromTime) ?? 0) <= now && now < (instant(absence.untilTime) ?? 0);
}

/** Say in the header while this person is away. Returns a function that stops it. */
export function watchAbsence(page: Page): () => void {
  const { inbox } = page;
  const subject = subjectOf(page);
  if (subject === "") return () => {};
  let readAt = Number.NEGATIVE_INFINITY;
  const stopReading = effect(() => {
    const beat = halfMinute.value;
    if (inbox.link.value !== "live" || beat - readAt < BEATS) return;
    readAt = beat;
    // A service without absences, or without a connection: the next reading is soon.
    untracked(() => void readAbsences(inbox, subject).catch(() => undefined));
  });
  const stopShowing = effect(() => {
    halfMinute.value;
    const now = inbox.now();
    const [first] = absencesOf(absences.value, subject, now);
    awayText.value =
      first !== undefined && holds(first, now)
        ? t("absence.now", { time: clock(instant(first.untilTime) ?? now, now) })
        : "";
  });
  return () => {
    stopReading();
    stopShowing();
    absences.value = [];
    awayText.value = "";
  };
}

/** A time as an `<input type="datetime-local">` has it, in the browser's own zone. */
export function toLocal(stamp: string | undefined): string {
  const at = instant(stamp);
  if (at === undefined) return "";
  const time = new Date(at);
  const two = (n: number) => String(n).padStart(2, "0");
  const day = [String(time.getFullYear()).padStart(4, "0"), two(time.getMonth() + 1), two(time.getDate())];
  return `${day.join("-")}T${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** The timestamp of such an input; `before` where it is the one that the input began with. Undefined: none. */
export function fromLocal(text: string, before?: string): string | undefined {
  if (before !== undefined && text === toLocal(before)) return before;
  const time = new Date(text);
  return text === "" || Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}
