import type { Bounds } from "./entries";
import { type FormWords, shortList, type Unit } from "./words";

const DATE = "a date written YYYY-MM-DD";
const MOMENT = "a date and time, such as 2026-12-01 15:00 (your time)";
const MOMENT_RIGHT = `${MOMENT} or 2026-12-01 15:00 +01:00`;
const CLOCK = "a time of day, such as 15:00";
const DURATION = "a duration, such as 1h30m or 2d";

const TYPES: Readonly<Record<string, string>> = {
  object: "an object",
  array: "a list",
  string: "text",
  integer: "an integer",
  number: "a number",
  boolean: "true or false",
  null: "null",
};

function limits(bounds: Bounds): string {
  const parts: string[] = [];
  if (bounds.low !== undefined) parts.push(`${bounds.lowOpen ? "more than" : "at least"} ${bounds.low}`);
  if (bounds.high !== undefined) parts.push(`${bounds.highOpen ? "less than" : "at most"} ${bounds.high}`);
  return parts.join(" and ");
}

function expectation(what: string, bounds: Bounds): string {
  const within = limits(bounds);
  return `must be ${what}${within ? `, ${within}` : ""}`;
}

const ONE: Readonly<Record<Unit, string>> = {
  "": "",
  characters: "character",
  choices: "choice",
  values: "value",
};

function within(bounds: Bounds, unit: Unit = ""): string {
  const words = limits(bounds);
  return words && unit ? `${words} ${(bounds.high ?? bounds.low) === "1" ? ONE[unit] : unit}` : words;
}

export const EN: FormWords = {
  decimalComma: false,
  yes: "Yes",
  no: "No",
  none: "none",
  empty: "(empty)",
  noAnswer: "No answer",
  required: "required",
  recommended: "recommended",
  byDefault: "default",
  asBefore: "as in the answer before",
  other: "Other",
  otherLines: "Other, one on each line",
  why: "Why:",
  theValues: "The values",
  fillIn: "Fill in",
  ifLeftOut: "If left out:",
  add: "Add",
  remove: "Remove",
  moveUp: "Move up",
  moveDown: "Move down",
  putBack: "Put back",
  name: "Name",
  value: "Value",
  zone: "Zone",
  yourTime: (zone) => `your time: ${zone}`,
  willBeSent: "Will be sent as",
  formatJson: "Format",
  goToError: "Go to the error",
  asJson: "Edit as JSON",
  asForm: "Edit as fields",
  valid: "Valid JSON",
  hidden: "hidden",
  further: "Further values",
  leftOver: "Typed before, and without a place in this form",
  leftOverHelp: "The form has changed. Copy what you still need.",
  discard: "Discard this text",
  wrongElsewhere: "The service refused values that no field here shows:",
  filter: (count) => `Filter ${count} options`,
  filterShows: (shown, count) => `${shown} of ${count} shown`,
  place: (number, count) => `${number} of ${count}`,
  variant: (number) => `variant ${number}`,
  kinds: {
    boolean: "yes or no",
    string: "text",
    integer: "a whole number",
    number: "a number",
    array: "a list",
    object: "several fields",
  },
  hints: {
    integer: "a whole number",
    number: "a number",
    json: "JSON",
    time: CLOCK,
    "time-local": CLOCK,
    duration: DURATION,
    uuid: "a UUID, such as 0b9c2a3e-5f1d-4c7b-9a8e-6d5f4e3c2b1a",
    uri: "a link, such as https://example.com/page",
    email: "an e-mail address, such as ana@example.com",
    jsonText: 'JSON, such as {"a": 1}',
    path: "a path, such as reports/2026.csv",
    ipv4: "an IPv4 address, such as 192.0.2.1",
    ipv6: "an IPv6 address, such as 2001:db8::1",
    ipvanyaddress: "an IP address, such as 192.0.2.1",
    secret: "not shown while you type, and not kept in a draft",
  },
  bounds: within,
  multiple: (step) => `a multiple of ${step}`,
  suchAs: (example) => `such as ${example}`,
  certainForm: "must have a certain form",
  pattern: "The form as a pattern",
  wrongForm: (example) => `does not have the required form${example && `, such as ${example}`}`,
  mustBeGiven: "must be given",
  mustBeComplete: "is not complete: fill in all parts, or clear it",
  mustBeNumber: (bounds) => expectation("a number, such as 12.5", bounds),
  mustBeWhole: (bounds) => expectation("a whole number", bounds),
  mustBeDate: (bounds) => expectation(DATE, bounds),
  mustBe: (bounds) => `must be ${limits(bounds)}`,
  mustHave: (bounds, unit) => `must have ${within(bounds, unit)}`,
  mustBeMultiple: (step) => `must be a multiple of ${step}`,
  mustNotGroup: (plain) => `must be written without separators between thousands, such as ${plain}`,
  tooLarge: "is too large",
  badCharacters: "contains a character that cannot be sent",
  notInCalendar: (text, bounds) => `'${text}' is not in the calendar; it ${expectation(DATE, bounds)}`,
  mustBeMoment: `must be ${MOMENT_RIGHT}`,
  momentNotInCalendar: (text) => `'${text}' is not in the calendar; write ${MOMENT_RIGHT}`,
  unknownZone: (zone) =>
    `has a zone that is not known here, '${zone}'; write an offset such as +01:00, or Z for UTC`,
  unknownOffset: (zone) => `has an offset that no zone has, '${zone}'; write one such as +01:00`,
  timeSkipped: "does not exist where you are: the clocks skip that hour; add an offset such as +01:00",
  timeTwice: (one, other) => `comes twice where you are, as the clocks go back: add ${one} or ${other}`,
  clockMustBe: `must be ${CLOCK}`,
  notOnClock: (text) => `'${text}' is not on the clock; write ${CLOCK}`,
  durationMustBe: `must be ${DURATION}`,
  wholeSeconds: "must be whole seconds",
  tooLong: "is too long",
  mustBeFormat: (hint) => `must be ${hint}`,
  notOffered: (text, labels) =>
    `'${text}' is not offered; it must be one of: ${shortList(labels, (count) => `${count} more`)}`,
  atLeastOneChoice: "must have at least one choice",
  chooseOne: "must be chosen",
  sameTwice: "must not have the same value twice",
  nameTwice: (name) => `'${name}' must not be there twice`,
  nameMissing: "must have a name",
  notJson: (fault, line, column) => `is not JSON: ${FAULTS[fault]} (line ${line}, column ${column})`,
  nameTwiceAt: (name, line, column) =>
    `has the name “${name}” twice in one object (line ${line}, column ${column})`,
  mustBeType: (types) => `must be ${types.map((name) => TYPES[name] ?? name).join(" or ")}`,
  mustBeJsonText: 'must be JSON, such as {"a": 1}',
  mustBeConstant: (text) => `must be ${text}`,
  notAllowed: "is not allowed",
  unknownField: "is not a field of this form",
  isRequired: "is required",
  fitsNoVariant: "fits none of the kinds that are allowed",
  fitsSeveralVariants: "fits several kinds, and may fit only one",
};

const FAULTS = {
  value_expected: "a value is expected",
  name_expected: "a name in double quotes is expected",
  colon_expected: "a colon is expected",
  comma_expected: "a comma or the end of the list or object is expected",
  end_expected: "nothing may follow here",
  bad_number: "a number is not written like this",
  bad_string: "this character must be escaped",
  string_not_closed: "a text is not closed",
  too_deep: "it is nested too deeply",
} as const;
