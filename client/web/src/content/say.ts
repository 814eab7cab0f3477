// Texts of this folder, from the page's catalogue. The English ones are in `words.en.ts`.

import { type Key, t as say } from "../words";
import type { contentWords } from "./words.en";

type ContentKey = Extract<Key, keyof typeof contentWords>;

export function t(key: ContentKey, params: Readonly<Record<string, string | number>> = {}): string {
  return say(key, params);
}
