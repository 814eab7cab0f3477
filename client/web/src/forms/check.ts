/**
 * Checks a value by a JSON Schema, with exact numbers. It finds typing errors before the service does and
 * decides which fields a condition shows. Keywords that it does not know, formats, and patterns that could be
 * slow are left to the service, which judges every answer.
 */

import { compare, isMultiple, isWhole } from "../json/decimal";
import { format, isArray, isObject, type Json, type JsonObject, Num } from "../json/exact";
import type { Bounds, Choice } from "./entries";
import { itemsOf, numberOf, resolve, type Schema, schemaOf } from "./schema_shapes";
import type { FormWords, Unit } from "./words";

interface Violation {
  readonly path: readonly string[];
  readonly message: string;
}

/** References may follow each other so far; a longer chain is not checked. */
const MAX_DEPTH = 200;
const MAX_VIOLATIONS = 20;

export class Checker {
  constructor(
    private readonly root: Schema,
    private readonly words: FormWords,
  ) {}

  /** What is wrong with the value; empty if nothing is known to be. */
  violations(schema: Json, value: Json): readonly Violation[] {
    const found: Violation[] = [];
    this.check(schema, value, [], 0, found);
    return found.slice(0, MAX_VIOLATIONS);
  }

  private check(schema: Json, value: Json, path: readonly string[], depth: number, out: Violation[]): void {
    if (out.length >= MAX_VIOLATIONS || depth > MAX_DEPTH) return;
    const say = (message: string, ...below: string[]) => out.push({ path: [...path, ...below], message });
    if (schema === false) say(this.words.notAllowed);
    if (!isObject(schema)) return;
    const inner = (part: Json | undefined, item: Json, ...below: string[]) =>
      part !== undefined && this.check(part, item, [...path, ...below], depth + 1, out);
    const reference = schema.get("$ref");
    if (typeof reference === "string") inner(resolve(reference, this.root), value);
    const types = typeNames(schema);
    if (types.length && !types.some((name) => isOfType(value, name))) say(this.words.mustBeType(types));
    const constant = schema.get("const");
    if (constant !== undefined && !equal(constant, value)) say(this.words.mustBeConstant(plain(constant)));
    const options = schema.get("enum");
    if (isArray(options) && !options.some((option) => equal(option, value))) {
      say(this.words.notOffered(plain(value), options.map(plain)));
    }
    this.checkScalar(schema, value, say);
    if (isArray(value)) this.checkArray(schema, value, say, inner);
    if (isObject(value)) this.checkObject(schema, value, say, inner);
    this.checkCombined(schema, value, say, inner, depth);
  }

  private checkScalar(schema: Schema, value: Json, say: Say): void {
    for (const [low, high, size, unit] of measure(schema, value)) {
      const bounds = { low: numberOf(schema, low), high: numberOf(schema, high) };
      if (!within(bounds, size)) say(unit ? this.words.mustHave(bounds, unit) : this.words.mustBe(bounds));
    }
    if (!(value instanceof Num)) return;
    const open = { low: numberOf(schema, "exclusiveMinimum"), high: numberOf(schema, "exclusiveMaximum") };
    const bounds = { ...open, lowOpen: true, highOpen: true };
    if (!within(bounds, value.text)) say(this.words.mustBe(bounds));
    const step = numberOf(schema, "multipleOf");
    if (step && isMultiple(value.text, step) === false) say(this.words.mustBeMultiple(step));
  }

  private checkArray(schema: Schema, value: readonly Json[], say: Say, inner: Inner): void {
    const places = itemsOf(schema, isArray(schema.get("items")) ? "items" : "prefixItems");
    const rest = isArray(schema.get("items")) ? schema.get("additionalItems") : schema.get("items");
    value.forEach((item, n) => {
      inner(n < places.length ? places[n] : rest, item, `${n}`);
    });
    if (schema.get("uniqueItems") === true && hasTwice(value)) say(this.words.sameTwice);
  }

  private checkObject(schema: Schema, value: JsonObject, say: Say, inner: Inner): void {
    const known = schemaOf(schema.get("properties"));
    const more = schema.get("additionalProperties");
    const patterns = schema.has("patternProperties");
    for (const name of itemsOf(schema, "required")) {
      if (typeof name === "string" && !value.has(name)) say(this.words.isRequired, name);
    }
    for (const [name, item] of value) {
      if (known.has(name)) inner(known.get(name), item, name);
      else if (more === false && !patterns) say(this.words.unknownField, name);
      else if (!patterns) inner(more, item, name);
      inner(schema.get("propertyNames"), name, name);
    }
    for (const [name, names] of schemaOf(schema.get("dependentRequired"))) {
      if (value.has(name)) inner(new Map([["required", names]]), value);
    }
    for (const [name, part] of schemaOf(schema.get("dependentSchemas"))) {
      if (value.has(name)) inner(part, value);
    }
  }

  private checkCombined(schema: Schema, value: Json, say: Say, inner: Inner, depth: number): void {
    for (const part of itemsOf(schema, "allOf")) inner(part, value);
    const fitting = (key: string) =>
      itemsOf(schema, key).filter((part) => this.holds(part, value, depth + 1));
    if (schema.has("anyOf") && !fitting("anyOf").length) say(this.words.fitsNoVariant);
    if (schema.has("oneOf")) {
      const count = fitting("oneOf").length;
      if (!count) say(this.words.fitsNoVariant);
      else if (count > 1 && itemsOf(schema, "oneOf").every((part) => this.isKnown(part, depth + 1))) {
        say(this.words.fitsSeveralVariants);
      }
    }
    const not = schema.get("not");
    if (not !== undefined && this.isKnown(not, depth + 1) && this.holds(not, value, depth + 1)) {
      say(this.words.notAllowed);
    }
    const condition = schema.get("if");
    if (condition === undefined) return;
    if (!this.holds(condition, value, depth + 1)) inner(schema.get("else"), value);
    else if (this.isKnown(condition, depth + 1)) inner(schema.get("then"), value);
  }

  /** Whether the value fits, patterns included where they are quick. */
  holds(schema: Json, value: Json, depth = 0): boolean {
    const found: Violation[] = [];
    this.check(schema, value, [], depth, found);
    if (found.length || !isObject(schema)) return !found.length;
    return this.patternHolds(schema, value, 0);
  }

  private patternHolds(schema: Schema, value: Json, depth: number): boolean {
    if (depth > MAX_DEPTH) return true;
    if (typeof value === "string") return matches(schema.get("pattern"), value) !== false;
    if (!isObject(value)) return true;
    return [...schemaOf(schema.get("properties"))].every(([name, part]) => {
      const item = value.get(name);
      return item === undefined || !isObject(part) || this.patternHolds(part, item, depth + 1);
    });
  }

  /** Whether all keywords of a schema are checked here, so that a fit is certain. */
  private isKnown(schema: Json, depth: number): boolean {
    if (isArray(schema)) return schema.every((part) => this.isKnown(part, depth));
    if (!isObject(schema)) return true;
    if (depth > MAX_DEPTH) return false;
    return [...schema].every(([key, value]) => {
      if (UNCHECKED.has(key)) return false;
      if (key === "$ref" && typeof value === "string") {
        return this.isKnown(resolve(value, this.root) ?? true, depth + 1);
      }
      if (key === "properties" && isObject(value)) return this.isKnown([...value.values()], depth + 1);
      return !SUBSCHEMAS.has(key) || this.isKnown(value, depth + 1);
    });
  }
}

type Say = (message: string, ...below: string[]) => void;
type Inner = (part: Json | undefined, item: Json, ...below: string[]) => void;

const UNCHECKED = new Set([
  "pattern",
  "patternProperties",
  "format",
  "contains",
  "contentSchema",
  "unevaluatedProperties",
  "unevaluatedItems",
  "dependencies",
]);
const SUBSCHEMAS = new Set([
  "items",
  "prefixItems",
  "additionalProperties",
  "propertyNames",
  "allOf",
  "anyOf",
  "oneOf",
  "not",
  "if",
  "then",
  "else",
]);

function typeNames(schema: Schema): string[] {
  const type = schema.get("type");
  return (isArray(type) ? [...type] : [type]).filter((name) => typeof name === "string");
}

function isOfType(value: Json, name: string): boolean {
  if (name === "integer") return value instanceof Num && isWhole(value.text);
  if (name === "number") return value instanceof Num;
  if (name === "array") return isArray(value);
  if (name === "object") return isObject(value);
  if (name === "null") return value === null;
  return typeof value === name;
}

type Measure = readonly [low: string, high: string, size: string, unit: Unit];

function measure(schema: Schema, value: Json): readonly Measure[] {
  if (value instanceof Num) return [["minimum", "maximum", value.text, ""]];
  if (typeof value === "string") {
    if (!schema.has("minLength") && !schema.has("maxLength")) return [];
    return [["minLength", "maxLength", `${lengthOf(value)}`, "characters"]];
  }
  if (isArray(value)) return [["minItems", "maxItems", `${value.length}`, "values"]];
  return isObject(value) ? [["minProperties", "maxProperties", `${value.size}`, "values"]] : [];
}

/** The number of characters as JSON Schema counts them: Unicode code points. */
export function lengthOf(text: string): number {
  return [...text].length;
}

/** Whether a number lies within bounds. */
export function within(bounds: Bounds, number: string): boolean {
  const low = bounds.low === undefined ? 1 : compare(number, bounds.low);
  const high = bounds.high === undefined ? -1 : compare(number, bounds.high);
  return (bounds.lowOpen ? low > 0 : low >= 0) && (bounds.highOpen ? high < 0 : high <= 0);
}

/** Whether two values are equal in JSON: 1 equals 1.0, and the order of names does not count. */
export function equal(one: Json, other: Json): boolean {
  if (one instanceof Num) return other instanceof Num && compare(one.text, other.text) === 0;
  if (isArray(one)) {
    return (
      isArray(other) && one.length === other.length && one.every((item, n) => equal(item, other[n] as Json))
    );
  }
  if (isObject(one)) {
    if (!isObject(other) || one.size !== other.size) return false;
    return [...one].every(([name, item]) => other.has(name) && equal(item, other.get(name) as Json));
  }
  return one === other;
}

export function hasTwice(values: readonly Json[]): boolean {
  return values.some((one, n) => values.findIndex((other) => equal(one, other)) < n);
}

/** The value as people read it: a text without its quotes. */
export function plain(value: Json): string {
  return typeof value === "string" ? value : format(value);
}

/** The text that people choose by. */
export function labelOf({ value, title }: Choice): string {
  return title || plain(value);
}

/** A quantifier of a group could make the search exponential, and several of them polynomial. */
const SLOW = /\)[*+?{]|\\[1-9]|(?:[*+}].*){4}/;
const MAX_SEARCHED = 1_000;

/** Whether the pattern matches in the text; undefined if the page does not search it. */
export function matches(pattern: Json | undefined, text: string): boolean | undefined {
  if (typeof pattern !== "string" || SLOW.test(pattern) || text.length > MAX_SEARCHED) return undefined;
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return undefined;
  }
}
