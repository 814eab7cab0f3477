/** Example values of a JSON Schema, for people who have to type JSON. */

import { format, isObject, type Json, Num } from "../json/exact";
import { branchesOf, itemsOf, numberOf, type Schema, schemaOf, simplify, typeOf } from "./schema_shapes";
import { compare } from "../json/decimal";

const MAX_CHARS = 400;

/** An example of a value of this schema, as JSON text; empty if it would be long. */
export function exampleOf(schema: Json | undefined, root: Schema): string {
  const [part] = simplify(schema, root);
  if ([...part.keys()].every((key) => ["title", "description", "default"].includes(key))) {
    return '12.5, "text" or {"name": "value"}';
  }
  const text = format(sample(schema, root, 3), 1).replace(/\n */g, " ");
  return text.length <= MAX_CHARS ? text : "";
}

function sample(schema: Json | undefined, root: Schema, depth: number): Json {
  const [part] = simplify(schema, root);
  const given =
    itemsOf(part, "examples")[0] ?? part.get("default") ?? part.get("const") ?? itemsOf(part, "enum")[0];
  if (given !== undefined) return given;
  const branch = branchesOf(part)[0];
  if (branch) return depth ? sample(branch, root, depth - 1) : new Map();
  switch (typeOf(part)) {
    case "string":
      return "text";
    case "integer":
    case "number": {
      const low = numberOf(part, "minimum") ?? "1";
      return new Num(compare(low, "1") > 0 ? low : "1");
    }
    case "boolean":
      return true;
    case "array": {
      const items = part.get("items");
      return depth && isObject(items) ? [sample(items, root, depth - 1)] : [new Num("1"), new Num("2")];
    }
    default:
      return sampleObject(part, root, depth);
  }
}

function sampleObject(part: Schema, root: Schema, depth: number): Json {
  const known = schemaOf(part.get("properties"));
  if (!depth || !known.size) return new Map([["name", "value"]]);
  const required = itemsOf(part, "required").filter((name) => typeof name === "string");
  const names = required.length ? required : [...known.keys()].slice(0, 3);
  return new Map(
    names.flatMap((name) =>
      known.has(name) ? [[name, sample(known.get(name), root, depth - 1)] as const] : [],
    ),
  );
}
