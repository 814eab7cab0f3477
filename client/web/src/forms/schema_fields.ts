/** The parts of a JSON Schema that are one field: a choice, a text, a number, a day, yes or no. */

import { compare } from "../json/decimal";
import { isObject, type Json } from "../json/exact";
import type { Bounds, Choice, Field, Kind } from "./entries";
import { branchesOf, itemsOf, numberOf, type Schema, textOf, typeOf } from "./schema_shapes";

type PlainField = Partial<Field> & { readonly kind: Kind };

/** The field for this schema; undefined if a field cannot represent it. */
export function plainField(part: Schema): PlainField | undefined {
  const offered = choicesOf(part);
  if (offered) return { kind: "single", ...offered };
  const number = numberUnion(part);
  if (number) {
    const spelled = branchesOf(part).some((branch) => branch.get("type") === "string");
    return { kind: "number", ...numberLimits(number), format: spelled ? "decimal" : "" };
  }
  switch (typeOf(part)) {
    case "string":
      return textField(part);
    case "integer":
      return { kind: "integer", ...numberLimits(part) };
    case "number":
      return { kind: "number", ...numberLimits(part) };
    case "boolean":
      return { kind: "boolean" };
    default:
      return undefined;
  }
}

function textField(part: Schema): PlainField {
  let format = textOf(part, "format");
  if (format === "date") {
    const bounds = { low: textOf(part, "formatMinimum"), high: textOf(part, "formatMaximum") };
    return { kind: "date", bounds: { low: bounds.low || undefined, high: bounds.high || undefined } };
  }
  if (part.get("contentMediaType") === "application/json") format = "json";
  const limits = { low: numberOf(part, "minLength"), high: numberOf(part, "maxLength") };
  return {
    kind: "text",
    format,
    // The message of a link says more than a number of characters.
    bounds: format === "uri" ? {} : limits,
    // OpenAPI's time without an offset has a pattern that its format repeats.
    pattern: format === "time-local" ? "" : textOf(part, "pattern"),
    example: exampleText(part),
    secret: format === "password" || part.get("writeOnly") === true,
    multiline: format === "json" || part.get("contentMediaType") === "text/markdown",
  };
}

/** The first example that is a text. */
function exampleText(part: Schema): string {
  const found = itemsOf(part, "examples").find((one) => typeof one === "string");
  return typeof found === "string" ? found : "";
}

/** The number in a union of numbers, or of a number and its text (pydantic's Decimal). */
function numberUnion(part: Schema): Schema | undefined {
  const branches = branchesOf(part);
  const numbers = branches.filter((branch) => ["number", "integer"].includes(textOf(branch, "type")));
  const texts = branches.filter((branch) => !numbers.includes(branch));
  if (!numbers.length || branches.length < 2 || !texts.every(spellsNumber)) return undefined;
  return numbers.find((branch) => branch.get("type") === "number") ?? numbers[0];
}

function spellsNumber(part: Schema): boolean {
  const pattern = textOf(part, "pattern");
  const digits = pattern.includes("\\d") || pattern.includes("[0-9]");
  return part.get("type") === "string" && (part.get("format") === "decimal" || digits);
}

function choice(value: Json, title: Json | undefined, description: Json | undefined): Choice {
  const text = (given: Json | undefined) => (typeof given === "string" ? given : "");
  return { value, title: text(title), description: text(description), recommended: false };
}

/** The choices of a schema, and whether any other text is allowed too; undefined without choices. */
export function choicesOf(part: Schema): { choices: readonly Choice[]; allowOther: boolean } | undefined {
  const constant = part.get("const");
  if (constant !== undefined) {
    return { choices: [choice(constant, part.get("title"), undefined)], allowOther: false };
  }
  const values = itemsOf(part, "enum");
  if (values.length) {
    const names = itemsOf(part, "enumNames");
    const titles = names.length === values.length ? names : [];
    return { choices: values.map((value, n) => choice(value, titles[n], undefined)), allowOther: false };
  }
  for (const key of ["oneOf", "anyOf"]) {
    const branches = itemsOf(part, key);
    const titled = branches.filter((branch) => isObject(branch) && branch.has("const"));
    const others = branches.filter((branch) => !titled.includes(branch));
    const free = others.every(
      (other) => isObject(other) && other.get("type") === "string" && !other.has("format"),
    );
    if (!titled.length || (others.length && !(key === "anyOf" && free))) continue;
    const choices = titled.flatMap((branch) => {
      if (!isObject(branch)) return [];
      return [choice(branch.get("const") ?? null, branch.get("title"), branch.get("description"))];
    });
    return { choices, allowOther: others.length > 0 };
  }
  return undefined;
}

function numberLimits(part: Schema): { bounds: Bounds; multipleOf: string | undefined } {
  const [low, high] = [numberOf(part, "minimum"), numberOf(part, "maximum")];
  const [over, under] = [numberOf(part, "exclusiveMinimum"), numberOf(part, "exclusiveMaximum")];
  const lowOpen = over !== undefined && (low === undefined || compare(over, low) >= 0);
  const highOpen = under !== undefined && (high === undefined || compare(under, high) <= 0);
  const bounds = {
    low: short(lowOpen ? over : low),
    high: short(highOpen ? under : high),
    lowOpen,
    highOpen,
  };
  return { bounds, multipleOf: numberOf(part, "multipleOf") };
}

/** The bound as people write it: 0 for 0.0. */
function short(bound: string | undefined): string | undefined {
  return bound?.replace(/^(-?[0-9]{1,15})\.0+$/, "$1");
}
