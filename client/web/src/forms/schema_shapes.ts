/** Simplifies a JSON Schema: resolves references, separates null, merges `allOf`, collects conditions. */

import { isArray, isObject, type Json, type JsonObject, Num } from "../json/exact";
import { pointerSteps } from "../json/pointer";

export type Schema = JsonObject;

const EMPTY: Schema = new Map();
/** Ends a cycle of references. */
const MAX_STEPS = 20;
/** Where `simplify` puts the `if`, `then` and `else` of a schema and of its `allOf`. Not a keyword. */
const CONDITIONS = " conditions";
const CONDITIONAL = ["if", "dependentSchemas", "dependentRequired"];
const NEEDS_STEPS = ["$ref", "allOf", ...CONDITIONAL];

export function schemaOf(value: Json | undefined): Schema {
  return isObject(value) ? value : EMPTY;
}

export function textOf(part: Schema, key: string): string {
  const found = part.get(key);
  return typeof found === "string" ? found : "";
}

export function itemsOf(part: Schema, key: string): readonly Json[] {
  const found = part.get(key);
  return isArray(found) ? found : [];
}

/** The number under the key as text. */
export function numberOf(part: Schema, key: string): string | undefined {
  const found = part.get(key);
  return found instanceof Num ? found.text : undefined;
}

/** The type; `object` for a schema with properties and no type; empty for several types or none. */
export function typeOf(part: Schema): string {
  return part.has("type") ? textOf(part, "type") : part.has("properties") ? "object" : "";
}

function without(part: Schema, ...keys: string[]): Map<string, Json> {
  return new Map([...part].filter(([key]) => !keys.includes(key)));
}

/** The schema that a reference within the document points to; undefined if there is none. */
export function resolve(reference: string, root: Schema): Json | undefined {
  if (!/^#(?:\/|$)/.test(reference)) return undefined;
  let node: Json | undefined = root;
  for (const step of pointerSteps(reference.slice(1))) {
    if (isObject(node)) node = node.get(step);
    else if (isArray(node) && /^[0-9]{1,9}$/.test(step)) node = node.find((_, n) => `${n}` === step);
    else return undefined;
  }
  return node;
}

/** The schema with its references resolved and without null, and whether it allowed null. */
export function simplify(part: Json | undefined, root: Schema): [Schema, boolean] {
  let nullable = false;
  let found = schemaOf(part);
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const reference = found.get("$ref");
    const branches = itemsOf(found, "allOf").filter(isObject);
    if (typeof reference === "string") {
      found = new Map([...schemaOf(resolve(reference, root)), ...without(found, "$ref")]);
    } else if (CONDITIONAL.some((key) => found.has(key))) {
      found = collectConditions(found);
    } else if (branches.length) {
      const merged = branches.map((branch) => {
        return NEEDS_STEPS.some((key) => branch.has(key)) ? simplify(branch, root)[0] : branch;
      });
      found = mergeSchemas([...merged, without(found, "allOf")]);
    } else {
      const separated = separateNull(found);
      if (!separated) break;
      nullable ||= separated[1];
      found = separated[0];
    }
  }
  const types = found.get("type");
  if (isArray(types) && types.includes("null")) {
    const left = types.filter((name) => name !== "null");
    nullable = true;
    found = new Map([...found, ["type", left.length === 1 ? (left[0] as Json) : left]]);
  }
  return [found, nullable];
}

/** A union without its null, and a union of one schema as that schema; undefined where there is neither. */
function separateNull(part: Schema): [Schema, boolean] | undefined {
  for (const key of ["anyOf", "oneOf"]) {
    const branches = itemsOf(part, key);
    const rest = branches.filter(
      (branch) => !(isObject(branch) && branch.size === 1 && branch.get("type") === "null"),
    );
    const only = rest.length === 1 && isObject(rest[0]) ? rest[0] : undefined;
    if (rest.length === branches.length && !(only && !only.has("const"))) continue;
    const own = without(part, key);
    if (own.get("default") === null) own.delete("default");
    const found = only ? new Map([...only, ...own]) : new Map([...own, [key, rest] as const]);
    return [found, rest.length < branches.length];
  }
  return undefined;
}

/** One condition of a schema: `ifSo` or `ifNot` applies, depending on the values. */
interface Condition {
  readonly test: Json;
  readonly ifSo: Schema;
  readonly ifNot: Schema;
}

export function conditionsOf(part: Schema): readonly Condition[] {
  return itemsOf(part, CONDITIONS).map((one) => {
    const [test = true, ifSo, ifNot] = isArray(one) ? one : [];
    return { test, ifSo: schemaOf(ifSo), ifNot: schemaOf(ifNot) };
  });
}

export function withoutConditions(part: Schema): Schema {
  return part.has(CONDITIONS) ? without(part, CONDITIONS) : part;
}

function collectConditions(part: Schema): Schema {
  const found: Json[] = [...itemsOf(part, CONDITIONS)];
  if (part.has("if"))
    found.push([part.get("if") ?? true, schemaOf(part.get("then")), schemaOf(part.get("else"))]);
  const given = (name: string): Json => new Map<string, Json>([["required", [name]]]);
  for (const [name, schema] of schemaOf(part.get("dependentSchemas"))) found.push([given(name), schema]);
  for (const [name, names] of schemaOf(part.get("dependentRequired"))) {
    found.push([given(name), new Map([["required", names]])]);
  }
  const rest = without(part, "if", "then", "else", "dependentSchemas", "dependentRequired", CONDITIONS);
  return rest.set(CONDITIONS, found);
}

const BESIDE = ["type", "properties", "required", "$defs", CONDITIONS];
/** Keywords of a branch that only says which combinations are valid, and asks for no value of its own. */
const ONLY_RULES = new Set(["required", "not", "title", "description", "minProperties", "maxProperties"]);

/** The branches of a union, each with the keywords beside the union; empty for any other schema. */
export function branchesOf(part: Schema): readonly Schema[] {
  for (const key of ["anyOf", "oneOf"]) {
    const branches = itemsOf(part, key);
    if (!branches.length || !branches.every(isObject)) continue;
    const beside = new Map(
      BESIDE.flatMap((name) => (part.has(name) ? [[name, part.get(name) as Json]] : [])),
    );
    const rulesOnly = branches.every((branch) => [...branch.keys()].every((name) => ONLY_RULES.has(name)));
    if (rulesOnly && beside.has("properties")) continue;
    return branches.map((branch) => (beside.size ? mergeSchemas([beside, branch]) : branch));
  }
  const types = part.get("type");
  if (!isArray(types)) return [];
  const own = without(part, "type", "title", "description", "default");
  return types.flatMap((name) => (typeof name === "string" ? [new Map([...own, ["type", name]])] : []));
}

/** The schemas as one; where they contradict each other, the last one wins. */
export function mergeSchemas(schemas: readonly Schema[]): Schema {
  const found = new Map<string, Json>();
  for (const [key, value] of schemas.flatMap((schema) => [...schema])) {
    const known = found.get(key);
    if (key === "properties" && isObject(value)) found.set(key, mergeProperties(schemaOf(known), value));
    else if ((key === "required" || key === CONDITIONS) && isArray(known) && isArray(value)) {
      found.set(key, [...known, ...value]);
    } else found.set(key, value);
  }
  return found;
}

/** A property that both have keeps the keywords of the first that the second does not repeat. */
function mergeProperties(one: Schema, other: Schema): Schema {
  const found = new Map(one);
  for (const [name, value] of other) {
    const known = found.get(name);
    found.set(name, isObject(known) && isObject(value) ? new Map([...known, ...value]) : value);
  }
  return found;
}

const DATA = new Set(["default", "const", "enum", "examples"]);
const NAMED = new Set(["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"]);

/** Whether a schema asks for a secret anywhere. Each part is visited once, so that references cannot multiply. */
export function hasSecret(part: Json | undefined, root: Schema, seen: Set<Json> = new Set()): boolean {
  if (isArray(part)) return part.some((item) => hasSecret(item, root, seen));
  if (!isObject(part) || seen.has(part)) return false;
  seen.add(part);
  if (part.get("writeOnly") === true || part.get("format") === "password") return true;
  return [...part].some(([key, value]) => {
    if (DATA.has(key)) return false;
    if (key === "$ref" && typeof value === "string") return hasSecret(resolve(value, root), root, seen);
    return hasSecret(NAMED.has(key) && isObject(value) ? [...value.values()] : value, root, seen);
  });
}
