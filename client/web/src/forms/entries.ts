/** A form as a tree of entries: what is asked. What a person typed is in the tree of nodes beside it. */

import type { Json, JsonObject } from "../json/exact";

export type Kind = "boolean" | "single" | "multi" | "text" | "integer" | "number" | "date" | "json";

export interface Choice {
  readonly value: Json;
  /** Empty: people see the value. */
  readonly title: string;
  readonly description: string;
  readonly recommended: boolean;
}

/** The interval from `low` to `high`, numbers or days as text. An open bound is excluded from it. */
export interface Bounds {
  readonly low?: string | undefined;
  readonly high?: string | undefined;
  readonly lowOpen?: boolean;
  readonly highOpen?: boolean;
}

/** What all entries have. */
export interface Part {
  /** The name of the value in its object; empty for the whole form and for items of a list. */
  readonly key: string;
  readonly title: string;
  /** Markdown. */
  readonly help: string;
  readonly rationale: string;
  readonly required: boolean;
  /** Whether null is a value. */
  readonly nullable: boolean;
  /** The value that the asker suggests. */
  readonly preset: Json | undefined;
  /** What a value must satisfy; true where the entry comes from a typed question. */
  readonly schema: Json;
}

/** One value that is typed or chosen. */
export interface Field extends Part {
  readonly type: "field";
  readonly kind: Kind;
  readonly choices: readonly Choice[];
  /** Whether any other text is a value too. */
  readonly allowOther: boolean;
  /** Of the value itself; of a text the number of characters, of several choices their number. */
  readonly bounds: Bounds;
  readonly multipleOf: string | undefined;
  readonly pattern: string;
  readonly multiline: boolean;
  /** Of a text: its JSON Schema `format`. */
  readonly format: string;
  readonly secret: boolean;
  /** A value that fits, as text: of a JSON field, and of a text with a pattern. */
  readonly example: string;
}

/** An object, or a list of fixed length (`sequence`). */
export interface Group extends Part {
  readonly type: "group";
  readonly sequence: boolean;
  /** Constants, such as the tag of a union: sent and not asked for. */
  readonly fixed: readonly (readonly [string, Json])[];
  /** Whether `fieldsFor` depends on the values. */
  readonly conditional: boolean;
  /** The entries that are asked for while the group has these values; equal lists are the same object. */
  fieldsFor(values: JsonObject): readonly Entry[];
}

/** Any number of values, in order or by name (`keyed`). */
export interface Items extends Part {
  readonly type: "items";
  readonly item: Entry;
  readonly bounds: Bounds;
  readonly unique: boolean;
  readonly keyed: boolean;
  /** Of keyed items: the names that are allowed; empty if any name is. */
  readonly names: readonly Choice[];
}

/** A union: the person chooses the kind of value first. */
export interface Variants extends Part {
  readonly type: "variants";
  readonly variants: readonly Entry[];
}

export type Entry = Field | Group | Items | Variants;

const PLAIN_FIELD = {
  type: "field",
  choices: [],
  allowOther: false,
  bounds: {},
  multipleOf: undefined,
  pattern: "",
  multiline: false,
  format: "",
  secret: false,
  example: "",
} as const satisfies Partial<Field>;

/** A field of this kind in place of another entry, for the same value. */
export function fieldFor(part: Part, kind: Kind, more: Partial<Field> = {}): Field {
  const { key, title, help, rationale, required, nullable, preset, schema } = part;
  return { ...PLAIN_FIELD, key, title, help, rationale, required, nullable, preset, schema, kind, ...more };
}
