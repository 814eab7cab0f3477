/** Texts with a JSON Schema `format`: reads what people type. The same rules as in the terminal. */

import { tryParse } from "../json/exact";
import type { FormWords } from "./words";
import { digits, isDay, type Minutes, minutesOf, offsetsOf, offsetText, zoneNames } from "./zones";

/** The language and the zone of the person. */
export interface Settings {
  readonly words: FormWords;
  readonly zone: string;
  /** The present time, in ms since 1970: for the offset of a time of day. */
  now(): number;
}

/** Why a text is refused, in words. */
export class Refusal extends Error {}

const MOMENT =
  /^([0-9]{4}-[0-9]{2}-[0-9]{2})[ Tt]([0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)\s*(\S.*)?$/;
const CLOCK = /^([0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)\s*(\S.*)?$/;
const OFFSET = /^([+-])([0-9]{2})(?::?([0-9]{2}))?$/;
const YOURS = ["", "your time", "(your time)", "local", "local time"];
const UTC = ["z", "utc", "gmt"];

interface Clock {
  readonly hour: number;
  readonly minute: number;
  /** `HH:MM:SS`, with six places of a fraction if there is one. */
  readonly text: string;
}

function readClock(text: string): Clock | undefined {
  const [hour = "", minute = "", rest = "00"] = text.split(":");
  const [second = "", fraction] = rest.split(".");
  if (digits(hour) > 23 || digits(minute) > 59 || digits(second) > 59) return undefined;
  const places = fraction && digits(fraction) ? `.${fraction.padEnd(6, "0")}` : "";
  const spelled = `${hour.padStart(2, "0")}:${minute}:${second}${places}`;
  return { hour: digits(hour), minute: digits(minute), text: spelled };
}

/** The offset that the text names, as it is sent; undefined if it names none. */
function readOffset(zone: string): string | undefined {
  if (UTC.includes(zone.toLowerCase())) return "Z";
  const [, sign, hours = "", minutes = "00"] = OFFSET.exec(zone) ?? [];
  if (!sign || digits(hours) > 23 || digits(minutes) > 59) return undefined;
  return digits(hours) + digits(minutes) === 0 ? "Z" : `${sign}${hours}:${minutes}`;
}

function readMoment(text: string, { words, zone: here }: Settings): string {
  const [, day = "", time = "", given = ""] = MOMENT.exec(text) ?? [];
  if (!day) throw new Refusal(words.mustBeMoment);
  const clock = readClock(time);
  if (!clock || !isDay(day)) throw new Refusal(words.momentNotInCalendar(text));
  const zone = given.trim();
  const offset = readOffset(zone) ?? localOffset(zone, minutesOf(day, clock.hour, clock.minute), here, words);
  return `${day}T${clock.text}${offset}`;
}

function localOffset(zone: string, local: Minutes, here: string, words: FormWords): string {
  if (OFFSET.test(zone)) throw new Refusal(words.unknownOffset(zone));
  const offsets = offsetsOf(here, local);
  if (YOURS.includes(zone.toLowerCase())) {
    const [first, second] = offsets;
    if (first === undefined) throw new Refusal(words.timeSkipped);
    if (second !== undefined) throw new Refusal(words.timeTwice(offsetText(first), offsetText(second)));
    return offsetText(first);
  }
  const named = offsets.find((offset) => zoneNames(here, local - offset).has(zone.toLowerCase()));
  if (named === undefined) throw new Refusal(words.unknownZone(zone));
  return offsetText(named);
}

function readTime(text: string, { words }: Settings): string {
  const [, time = "", given = ""] = CLOCK.exec(text) ?? [];
  if (!time) throw new Refusal(words.clockMustBe);
  const clock = readClock(time);
  if (!clock) throw new Refusal(words.notOnClock(text));
  const zone = given.trim();
  if (YOURS.includes(zone.toLowerCase())) return clock.text;
  const offset = readOffset(zone);
  if (offset === undefined) throw new Refusal(words.clockMustBe);
  return clock.text + offset;
}

/** A time of day in RFC 3339, which has an offset: by default the person's offset of today. */
function readTimeWithOffset(text: string, settings: Settings): string {
  const found = readTime(text, settings);
  if (/(?:Z|[+-][0-9]{2}:[0-9]{2})$/.test(found)) return found;
  const now = Math.floor(settings.now() / 60_000);
  const [offset = 0] = offsetsOf(settings.zone, now);
  return found + offsetText(offset);
}

const DURATION_PART =
  /([0-9]+)(?:\.([0-9]+))?\s*(weeks?|w|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)/g;
const ISO_DURATION =
  /^P(?:[0-9]+W|(?=[0-9]|T[0-9])(?:[0-9]+Y)?(?:[0-9]+M)?(?:[0-9]+D)?(?:T(?=[0-9])(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+S)?)?)$/;
const UNITS: Readonly<Record<string, bigint>> = { w: 604_800n, d: 86_400n, h: 3_600n, m: 60n, s: 1n };
const MAX_SECONDS = 10_000n * 365n * 86_400n;

function readDuration(text: string, { words }: Settings): string {
  const iso = text.toUpperCase();
  if (ISO_DURATION.test(iso) && iso !== "P") return iso;
  const lower = text.toLowerCase();
  if (lower.replace(DURATION_PART, "").replace(/[ ,]/g, "") || !/[0-9]/.test(lower)) {
    throw new Refusal(words.durationMustBe);
  }
  let total = 0n;
  for (const [, whole = "", fraction = "", unit = ""] of lower.matchAll(DURATION_PART)) {
    const scale = 10n ** BigInt(fraction.length);
    const scaled = BigInt(whole + fraction) * (UNITS[unit.slice(0, 1)] ?? 1n);
    if (scaled % scale) throw new Refusal(words.wholeSeconds);
    total += scaled / scale;
  }
  if (total >= MAX_SECONDS) throw new Refusal(words.tooLong);
  return spellDuration(total);
}

function spellDuration(seconds: bigint): string {
  const part = (count: bigint, unit: string) => (count ? `${count}${unit}` : "");
  const days = part(seconds / 86_400n, "D");
  const rest = seconds % 86_400n;
  const clock = part(rest / 3_600n, "H") + part((rest / 60n) % 60n, "M") + part(rest % 60n, "S");
  return days || clock ? `P${days}${clock ? `T${clock}` : ""}` : "PT0S";
}

function readUuid(text: string, { words }: Settings): string {
  const hex = text
    .toLowerCase()
    .replace(/^urn:uuid:/, "")
    .replace(/[{}-]/g, "");
  const [, ...parts] = /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/.exec(hex) ?? [];
  if (!parts.length) throw new Refusal(words.mustBeFormat(words.hints.uuid ?? ""));
  return parts.join("-");
}

function readJsonText(text: string, { words }: Settings): string {
  if (tryParse(text) === undefined) throw new Refusal(words.mustBeJsonText);
  return text;
}

function formatReader(format: string, holds: (text: string) => boolean): Read {
  return (text, { words }) => {
    if (!holds(text)) throw new Refusal(words.mustBeFormat(words.hints[format] ?? format));
    return text;
  };
}

const BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const IPV4 = new RegExp(`^${BYTE}(?:\\.${BYTE}){3}$`);

function isIpv6(text: string): boolean {
  return /^[0-9a-fA-F:.]+$/.test(text) && text.includes(":") && URL.canParse(`http://[${text}]/`);
}

/** Throws Refusal. */
type Read = (text: string, settings: Settings) => string;

/** By name in JSON Schema. Texts of other formats are sent as they are typed. */
export const FORMATS: ReadonlyMap<string, Read> = new Map<string, Read>([
  ["date-time", readMoment],
  ["time", readTimeWithOffset],
  ["time-local", readTime],
  ["duration", readDuration],
  ["uuid", readUuid],
  ["json", readJsonText],
  ["uri", formatReader("uri", (text) => /^[A-Za-z][A-Za-z0-9+.-]*:\S+$/.test(text))],
  ["email", formatReader("email", (text) => /^[^\s@]+@[^\s@]+$/.test(text))],
  ["ipv4", formatReader("ipv4", (text) => IPV4.test(text))],
  ["ipv6", formatReader("ipv6", isIpv6)],
  ["ipvanyaddress", formatReader("ipvanyaddress", (text) => IPV4.test(text) || isIpv6(text))],
]);
