/**
 * Local times and their offsets, from the browser's zone data. Nothing here is a `Date`: a day and a time are
 * the digits that a person typed, and the offset is text beside them.
 */

/** A time on a clock, in minutes since 1970 on that clock, as if its offset were zero. */
export type Minutes = number;

/** The value of decimal digits; only for the fields of a calendar and a clock. */
export function digits(text: string): number {
  return [...text].reduce((sum, digit) => sum * 10 + digit.charCodeAt(0) - 48, 0);
}

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/** Whether the text is a day of the calendar, written YYYY-MM-DD. */
export function isDay(text: string): boolean {
  const [, year, month, day] = /^([0-9]{4})-([0-9]{2})-([0-9]{2})$/.exec(text)?.map(digits) ?? [];
  if (!year || !month || !day || month > 12) return false;
  const days = [31, isLeapYear(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
  return day <= days;
}

/** The minutes of a day and a time, both checked. */
export function minutesOf(day: string, hour: number, minute: number): Minutes {
  const [year = 0, month = 0, date = 0] = day.split("-").map(digits);
  // Days since 1970 by the civil calendar, whose year starts in March.
  const y = month > 2 ? year : year - 1;
  const era = Math.floor(y / 400);
  const ofEra = y - era * 400;
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + date - 1;
  const days =
    era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468;
  return (days * 24 + hour) * 60 + minute;
}

/** The offset of a zone at an instant, in minutes; undefined for an offset with seconds, as before 1900. */
function offsetAt(zone: string, instant: Minutes): number | undefined {
  const parts = new Map(
    new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      era: "short",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    })
      .formatToParts(instant * 60_000)
      .map(({ type, value }) => [type, value]),
  );
  if (parts.get("era") !== "AD" || parts.get("second") !== "00") return undefined;
  const day = `${parts.get("year")?.padStart(4, "0")}-${parts.get("month")}-${parts.get("day")}`;
  return minutesOf(day, digits(parts.get("hour") ?? ""), digits(parts.get("minute") ?? "")) - instant;
}

/** The offsets that a local time can have: one, two when the clocks go back, none when they skip it. */
export function offsetsOf(zone: string, local: Minutes): readonly number[] {
  const found = new Set<number>();
  // The largest offsets are 14 hours; a change of the clocks lies between the two guesses.
  for (const guess of [local - 15 * 60, local + 15 * 60]) {
    const offset = offsetAt(zone, guess);
    if (offset !== undefined && offsetAt(zone, local - offset) === offset) found.add(offset);
  }
  // The first time that a person's clock shows it has the larger offset.
  return [...found].sort((one, other) => other - one);
}

/** The short names of the zone at an instant, such as CET, in lower case. */
export function zoneNames(zone: string, instant: Minutes): ReadonlySet<string> {
  const names = ["en-GB", "en-US", "de-DE"].flatMap((language) =>
    new Intl.DateTimeFormat(language, { timeZone: zone, timeZoneName: "short" })
      .formatToParts(instant * 60_000)
      .filter(({ type }) => type === "timeZoneName")
      .map(({ value }) => value.toLowerCase()),
  );
  return new Set(names);
}

/** The offset as text: `+01:00`; `Z` for UTC. */
export function offsetText(minutes: number): string {
  if (minutes === 0) return "Z";
  const size = Math.abs(minutes);
  const two = (part: number) => `${part}`.padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

export function localZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}
