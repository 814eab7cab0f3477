// The texts of this folder until src/words has them: then this file re-exports `t` of there.

import { contentWords } from "./words.en";

export type ContentKey = keyof typeof contentWords;

export function t(key: ContentKey, params: Readonly<Record<string, string | number>> = {}): string {
  const entry: string | { one: string; other: string } = contentWords[key];
  const template = typeof entry === "string" ? entry : params.n === 1 ? entry.one : entry.other;
  return template.replace(/\{(\w+)\}/g, (place, name: string) => {
    const value = params[name];
    if (value === undefined) return place;
    return typeof value === "number" ? value.toLocaleString("en") : value;
  });
}
