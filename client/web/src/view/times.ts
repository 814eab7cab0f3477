// Times and spans for people, in their own zone. Clocks run by the server's time.

import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { locale, t } from "../words";

/** Rises each second while the page is visible: clocks read it to be drawn again. */
export const second = signal(0);
/** Rises each half minute: for rows, which need no seconds. */
export const halfMinute = signal(0);

/** What the words of a row follow. */
export interface Clocks {
  readonly second: ReadonlySignal<number>;
  readonly halfMinute: ReadonlySignal<number>;
}

/** Clocks that stand still while `isShown` is false, and catch up when it becomes true. */
export function clocksWhile(isShown: ReadonlySignal<boolean>): Clocks {
  const follow = (clock: ReadonlySignal<number>) => {
    let last = clock.peek();
    return computed(() => {
      if (isShown.value) last = clock.value;
      return last;
    });
  };
  return { second: follow(second), halfMinute: follow(halfMinute) };
}

/** Let the clocks run. Returns a function that stops them. */
export function startClocks(): () => void {
  const beat = () => {
    if (document.visibilityState === "hidden") return;
    second.value += 1;
    if (second.value % 30 === 0) halfMinute.value += 1;
  };
  const wake = () => {
    beat();
    halfMinute.value += 1;
  };
  const timer = setInterval(beat, 1000);
  document.addEventListener("visibilitychange", wake);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", wake);
  };
}

const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span in words with at most two units: `45 s`, `3 min`, `2 h 5 min`, `3 d 4 h`. */
export function span(ms: number, { seconds = true } = {}): string {
  const left = Math.max(0, ms);
  if (left < MINUTE) return seconds ? t("span.s", { n: Math.floor(left / SECOND) }) : t("span.less");
  if (left < HOUR) {
    const minutes = Math.floor(left / MINUTE);
    const rest = Math.floor((left % MINUTE) / SECOND);
    if (!seconds || minutes >= 10 || rest === 0) return t("span.min", { n: minutes });
    return `${t("span.min", { n: minutes })} ${t("span.s", { n: rest })}`;
  }
  if (left < DAY) {
    const hours = Math.floor(left / HOUR);
    const rest = Math.floor((left % HOUR) / MINUTE);
    return rest === 0
      ? t("span.h", { n: hours })
      : `${t("span.h", { n: hours })} ${t("span.min", { n: rest })}`;
  }
  const days = Math.floor(left / DAY);
  const rest = Math.floor((left % DAY) / HOUR);
  return rest === 0 ? t("span.d", { n: days }) : `${t("span.d", { n: days })} ${t("span.h", { n: rest })}`;
}

function sameDay(one: Date, other: Date): boolean {
  return one.toDateString() === other.toDateString();
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** A format, made once: rows by the thousand use it, and making one takes longer than drawing a row. */
function formatOf(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale()} ${Object.entries(options).join()}`;
  let found = formats.get(key);
  if (found === undefined) {
    found = new Intl.DateTimeFormat(locale(), options);
    formats.set(key, found);
  }
  return found;
}

/** The time of day, with the date unless it is today: `14:05`, `30 Nov, 14:05`. */
export function clock(at: number, now: number): string {
  const time = new Date(at);
  const hours: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit" };
  if (sameDay(time, new Date(now))) return formatOf(hours).format(time);
  const year: Intl.DateTimeFormatOptions =
    time.getFullYear() === new Date(now).getFullYear() ? {} : { year: "numeric" };
  return formatOf({ day: "numeric", month: "short", ...year, ...hours }).format(time);
}

/** A day, as the heading of what happened on it: `today`, `yesterday`, `Friday, 27 November`. */
export function day(at: number, now: number): string {
  const [time, today] = [new Date(at), new Date(now)];
  if (sameDay(time, today)) return t("day.today");
  const before = new Date(now);
  before.setDate(today.getDate() - 1);
  if (sameDay(time, before)) return t("day.yesterday");
  const year: Intl.DateTimeFormatOptions =
    time.getFullYear() === today.getFullYear() ? {} : { year: "numeric" };
  return formatOf({ weekday: "long", day: "numeric", month: "long", ...year }).format(time);
}

/** The exact time with its zone, for hovering. */
export function exact(at: number): string {
  return formatOf({ dateStyle: "full", timeStyle: "long" }).format(new Date(at));
}
