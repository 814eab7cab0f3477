/** Reads the text that a person typed into a field: a JSON value, or a refusal in words. */

import { isMultiple, isTooLarge, spell } from "../json/decimal";
import { isArray, isObject, type Json, JsonError, Num, parse } from "../json/exact";
import { type Checker, lengthOf, within } from "./check";
import type { Bounds, Field } from "./entries";
import { FORMATS, Refusal, type Settings } from "./formats";
import type { FormWords } from "./words";
import { isDay } from "./zones";

const INTEGER = /^[+-]?[0-9]{1,100}$/;
const NUMBER = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?$/;
const GROUPED = /^[+-]?[0-9]{1,3}(?:([., '’\u00a0\u202f])[0-9]{3})(?:\1[0-9]{3})*(?:[.,][0-9]*)?$/;
const MAX_NUMBER_CHARS = 400;
/** NUL and half a surrogate pair: the service refuses them. */
const UNSENDABLE = /\p{Cs}|\0/u;

/** The value of a text that is not empty. Throws Refusal. Patterns are left to the service. */
export function readText(field: Field, typed: string, settings: Settings, checker: Checker): Json {
  const { words } = settings;
  const text = field.kind === "text" || field.kind === "json" ? typed : typed.trim();
  if (UNSENDABLE.test(text)) throw new Refusal(words.badCharacters);
  switch (field.kind) {
    case "integer":
      return readInteger(field, text, words);
    case "number":
      return readNumber(field, text, words);
    case "date":
      return readDay(field, text, words);
    case "json":
      return readJson(field, text, words, checker);
    default:
      return readFormat(field, text, settings);
  }
}

function readFormat(field: Field, typed: string, settings: Settings): string {
  const read = FORMATS.get(field.format);
  const text = read ? read(typed.trim(), settings) : typed;
  if (!within(field.bounds, `${lengthOf(text)}`)) {
    throw new Refusal(settings.words.mustHave(field.bounds, "characters"));
  }
  return text;
}

function readInteger(field: Field, text: string, words: FormWords): Num {
  if (INTEGER.test(text)) return checkNumber(field, spell(text), words);
  const plain = groupedNumber(text);
  throw new Refusal(plain ? words.mustNotGroup(plain) : words.mustBeWhole(field.bounds));
}

function readNumber(field: Field, typed: string, words: FormWords): Num {
  const text = words.decimalComma && !typed.includes(".") ? typed.replace(",", ".") : typed;
  const plain = groupedNumber(typed);
  // Where the comma stands before a fraction, 1.000 is a thousand to some people and one to others.
  const ambiguous = words.decimalComma && plain !== undefined && typed.includes(".");
  if (ambiguous || !NUMBER.test(text)) {
    throw new Refusal(plain ? words.mustNotGroup(plain) : words.mustBeNumber(field.bounds));
  }
  if (text.length > MAX_NUMBER_CHARS || isTooLarge(text)) throw new Refusal(words.tooLarge);
  return checkNumber(field, spell(text), words);
}

/** The digits of a number with separators between its thousands; undefined for any other text. */
function groupedNumber(text: string): string | undefined {
  const sign = GROUPED.exec(text)?.[1];
  return sign && text.replaceAll(sign, "");
}

function checkNumber(field: Field, text: string, words: FormWords): Num {
  if (!within(field.bounds, text)) throw new Refusal(words.mustBe(field.bounds));
  if (field.multipleOf && isMultiple(text, field.multipleOf) === false) {
    throw new Refusal(words.mustBeMultiple(field.multipleOf));
  }
  return new Num(text);
}

function readDay(field: Field, text: string, words: FormWords): string {
  if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text)) throw new Refusal(words.mustBeDate(field.bounds));
  if (!isDay(text)) throw new Refusal(words.notInCalendar(text, field.bounds));
  if (!dayWithin(field.bounds, text)) throw new Refusal(words.mustBe(field.bounds));
  return text;
}

/** Days are compared as texts: they have equal lengths and their largest part first. */
function dayWithin({ low, high }: Bounds, day: string): boolean {
  return (low === undefined || day >= low) && (high === undefined || day <= high);
}

/** Why a text is not JSON, and where the cursor should go. */
export class JsonRefusal extends Refusal {
  constructor(
    message: string,
    readonly offset: number,
  ) {
    super(message);
  }
}

function readJson(field: Field, text: string, words: FormWords, checker: Checker): Json {
  const value = parseTyped(text, words);
  if (hasUnsendable(value)) throw new Refusal(words.badCharacters);
  const [first] = checker.violations(field.schema, value);
  if (!first) return value;
  const path = first.path.join("/");
  throw new Refusal(path ? `${path}: ${first.message}` : first.message);
}

/** Whether a text in the value has a character that the service refuses: JSON writes it as an escape. */
function hasUnsendable(value: Json): boolean {
  if (typeof value === "string") return UNSENDABLE.test(value);
  if (isObject(value)) return [...value].some(([name, item]) => UNSENDABLE.test(name) || hasUnsendable(item));
  return isArray(value) && value.some(hasUnsendable);
}

function parseTyped(text: string, words: FormWords): Json {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const { fault, line, column, twice } = error;
    const message =
      fault === "name_twice" ? words.nameTwiceAt(twice, line, column) : words.notJson(fault, line, column);
    throw new JsonRefusal(message, error.offset);
  }
}
