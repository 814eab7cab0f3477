/** What may be typed into a field, in words. */

import type { Entry, Field } from "./entries";
import type { FormWords, Unit } from "./words";

const UNITS: Readonly<Partial<Record<Field["kind"], Unit>>> = { text: "characters", multi: "choices" };

/** A hint for the person; empty where none is needed, as for a text. */
export function hintOf(entry: Entry, words: FormWords): string {
  if (entry.type === "items") return words.bounds(entry.bounds, "values");
  if (entry.type !== "field") return "";
  const { kind, format, example, bounds, multipleOf, pattern, help, secret } = entry;
  const parts = [kindHint(kind, format, words)];
  if (secret) parts.push(words.hints.secret ?? "");
  if (kind === "json" && example) parts[0] = `${words.hints.json}: ${example}`;
  parts.push(words.bounds(bounds, UNITS[kind] ?? ""));
  if (multipleOf) parts.push(words.multiple(multipleOf));
  if (kind === "text" && example) parts.push(words.suchAs(example));
  // Where the asker describes the field, that is the text for people.
  else if (pattern && !help) parts.push(words.certainForm);
  return parts.filter(Boolean).join("; ");
}

function kindHint(kind: Field["kind"], format: string, words: FormWords): string {
  if (kind === "integer" || kind === "number" || kind === "json") return words.hints[kind] ?? "";
  if (kind !== "text" || format === "date-time") return "";
  return words.hints[format === "json" ? "jsonText" : format] ?? "";
}
