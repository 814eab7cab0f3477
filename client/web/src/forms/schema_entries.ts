/**
 * Turns a JSON Schema into the entries of a form, as the terminal does. What has no simpler form is asked as
 * JSON text: only that value, or the whole form. The service validates the values anyway.
 */

import { isArray, isObject, type Json } from "../json/exact";
import { Checker } from "./check";
import { choicesOf, plainField } from "./schema_fields";
import { type Entry, fieldFor, type Group, type Part } from "./entries";
import { exampleOf } from "./schema_examples";
import {
  branchesOf,
  conditionsOf,
  itemsOf,
  mergeSchemas,
  numberOf,
  type Schema,
  schemaOf,
  hasSecret,
  simplify,
  textOf,
  typeOf,
  withoutConditions,
} from "./schema_shapes";
import type { FormWords } from "./words";

/** The depth of nested entries; deeper values are asked as JSON. */
const MAX_DEPTH = 8;
/** The entries of one schema; further values are asked as JSON. */
const MAX_ENTRIES = 2_000;
/** Rounds in which conditions may depend on fields that other conditions showed. */
const MAX_ROUNDS = 10;
/** Keywords that may refuse an empty object. */
const WANT_MORE = ["required", "minProperties", "not", "enum", "const"];

/** The entry for all values of a form; undefined for a schema that allows none. */
export function schemaEntry(schema: Json | undefined, words: FormWords): Entry | undefined {
  const root = schemaOf(schema);
  const [part] = simplify(root, root);
  const builder = new Builder(root, words);
  const branches = branchesOf(part);
  if (!branches.length && isEmpty(part)) return undefined;
  const required = branches.length > 0 || !part.size || WANT_MORE.some((key) => part.has(key));
  const titled = new Map<string, Json>([["title", words.theValues], ...part]);
  const entry = builder.entry("", titled, { required: true, depth: 0 });
  if (entry.type === "group" && !entry.sequence) return entry;
  const whole = { ...entry, required };
  if (entry.type === "variants" || (entry.type === "items" && entry.keyed)) return whole;
  return fieldFor(whole, "json", { example: exampleOf(part, root) });
}

/** Whether the schema is a form without fields: an object that allows no properties. */
function isEmpty(schema: Schema): boolean {
  if (schema.get("type") !== "object") return false;
  if ([...WANT_MORE, "patternProperties"].some((key) => schema.has(key)) || conditionsOf(schema).length)
    return false;
  const more = schema.get("additionalProperties");
  const properties = schema.get("properties");
  const known = isObject(properties) ? properties.size : -1;
  return known <= 0 && (more === false || (known === 0 && more === undefined));
}

interface Place {
  readonly required: boolean;
  readonly depth: number;
}

/** Builds the entries of one schema, up to a maximum number of entries. */
class Builder {
  private left = MAX_ENTRIES;
  private readonly checker: Checker;

  constructor(
    private readonly root: Schema,
    private readonly words: FormWords,
  ) {
    this.checker = new Checker(root, words);
  }

  /** The entry for a value of this schema. */
  entry(key: string, schema: Json | undefined, { required, depth }: Place): Entry {
    this.left -= 1;
    const [part, nullable] = simplify(schema, this.root);
    const common: Part = {
      key,
      title: textOf(part, "title") || key,
      help: textOf(part, "description"),
      rationale: "",
      required,
      nullable,
      preset: part.get("default"),
      schema: schema ?? true,
    };
    if (depth <= MAX_DEPTH && this.left > 0) {
      const field = plainField(part);
      if (field) return fieldFor(common, field.kind, field);
      const composite = this.composite(part, depth, common);
      if (composite) return composite;
    }
    return fieldFor(common, "json", {
      example: exampleOf(part, this.root),
      secret: hasSecret(part, this.root),
    });
  }

  /** The entry for an object, a list or a union; undefined for any other schema. */
  private composite(part: Schema, depth: number, common: Part): Entry | undefined {
    const branches = branchesOf(part);
    if (branches.length) {
      const found = branches.map((branch, n) => this.variant(branch, depth, n + 1));
      return { ...common, type: "variants", variants: distinct(found) };
    }
    const type = typeOf(part);
    if (type === "object" || (!type && conditionsOf(part).length)) {
      return asksForFields(part) ? this.group(part, depth, common, []) : this.byName(part, depth, common);
    }
    return type === "array" ? this.list(part, depth, common) : undefined;
  }

  /** An object. Its fields are built once for each outcome of its conditions. */
  private group(part: Schema, depth: number, common: Part, fixed: Group["fixed"]): Group {
    const hidden = new Set(fixed.map(([name]) => name));
    const built = new Map<string, readonly Entry[]>();
    const conditional = conditionsOf(part).length > 0;
    const fieldsFor: Group["fieldsFor"] = (values) => {
      const all = new Map([...fixed, ...values]);
      const outcomes: boolean[] = [];
      const effective = this.apply(part, all, outcomes);
      const outcome = outcomes.join();
      const found = built.get(outcome) ?? this.properties(effective, depth, hidden);
      built.set(outcome, found);
      return found;
    };
    return { ...common, type: "group", sequence: false, fixed, conditional, fieldsFor };
  }

  /** The schema with the branches of its conditions that apply to the values. */
  private apply(part: Schema, values: Json, outcomes: boolean[]): Schema {
    let found = part;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const conditions = conditionsOf(found);
      if (!conditions.length) break;
      const chosen = conditions.map(({ test, ifSo, ifNot }) => {
        const holds = this.checker.holds(test, values);
        outcomes.push(holds);
        return simplify(holds ? ifSo : ifNot, this.root)[0];
      });
      found = mergeSchemas([withoutConditions(found), ...chosen]);
    }
    return found;
  }

  private properties(part: Schema, depth: number, hidden: ReadonlySet<string>): readonly Entry[] {
    const required = new Set(itemsOf(part, "required"));
    return [...schemaOf(part.get("properties"))]
      .filter(([name, schema]) => !hidden.has(name) && schema !== false)
      .map(([name, schema]) => this.entry(name, schema, { required: required.has(name), depth: depth + 1 }));
  }

  /** One branch of a union. Its constants are the tag and are not asked for. */
  private variant(schema: Schema, depth: number, number: number): Entry {
    const [part] = simplify(schema, this.root);
    const fixed = [...schemaOf(part.get("properties"))].flatMap(([name, item]) => {
      const [found] = simplify(item, this.root);
      return found.has("const") ? [[name, found.get("const") as Json] as const] : [];
    });
    const tag = fixed.map(([, value]) => value).find((value) => typeof value === "string");
    const named = this.words.kinds[typeOf(part)] ?? this.words.variant(number);
    const title = textOf(part, "title") || (typeof tag === "string" ? tag : named);
    const entry = this.entry("", part, { required: true, depth: depth + 1 });
    if (!fixed.length) return { ...entry, title };
    const common = { ...entry, title, schema };
    return this.group(part, depth, common, fixed);
  }

  private list(part: Schema, depth: number, common: Part): Entry | undefined {
    const bounds = { low: numberOf(part, "minItems"), high: numberOf(part, "maxItems") };
    const unique = part.get("uniqueItems") === true;
    const items = part.get("items");
    const places = isArray(items) ? items : itemsOf(part, "prefixItems");
    if (places.length) {
      const size = `${places.length}`;
      if (bounds.low !== bounds.high || ![undefined, size].includes(bounds.high)) return undefined;
      const fields = places.map((place, n) => {
        const entry = this.entry(`${n}`, place, { required: true, depth: depth + 1 });
        const untitled = entry.title === entry.key;
        return untitled ? { ...entry, title: this.words.place(n + 1, places.length) } : entry;
      });
      return {
        ...common,
        type: "group",
        sequence: true,
        fixed: [],
        conditional: false,
        fieldsFor: () => fields,
      };
    }
    if (!isObject(items)) return undefined;
    const item = this.entry("", items, { required: true, depth: depth + 1 });
    if (item.type === "field" && item.kind === "single") {
      return fieldFor(common, "multi", { choices: item.choices, allowOther: item.allowOther, bounds });
    }
    if (item.type === "field" && item.kind === "json" && item.secret) return undefined;
    const titled = { ...item, title: item.title || common.title };
    return { ...common, type: "items", item: titled, bounds, unique, keyed: false, names: [] };
  }

  /** Values by name, such as `dict[str, int]`; undefined for an object that allows none. */
  private byName(part: Schema, depth: number, common: Part): Entry | undefined {
    const patterns = [...schemaOf(part.get("patternProperties")).values()];
    let values = part.get("additionalProperties") ?? true;
    if (patterns.length === 1 && !isObject(values)) values = patterns[0] ?? true;
    if (values === false) return undefined;
    const bounds = { low: numberOf(part, "minProperties"), high: numberOf(part, "maxProperties") };
    const names = choicesOf(simplify(part.get("propertyNames"), this.root)[0])?.choices ?? [];
    const item = this.entry("", values, { required: true, depth: depth + 1 });
    const titled = { ...item, title: item.title || this.words.value };
    return { ...common, type: "items", item: titled, bounds, unique: false, keyed: true, names };
  }
}

function asksForFields(part: Schema): boolean {
  return schemaOf(part.get("properties")).size > 0 || conditionsOf(part).length > 0;
}

/** The variants, with a number in a title that an earlier variant has too. */
function distinct(variants: readonly Entry[]): readonly Entry[] {
  const seen = new Set<string>();
  return variants.map((variant, n) => {
    const title = seen.has(variant.title.toLowerCase()) ? `${variant.title} (${n + 1})` : variant.title;
    seen.add(title.toLowerCase());
    return { ...variant, title };
  });
}
